"""Both ends of a migration, read off what Nova says of the server.

Pure. Nova has one record of where a server is; that is what counts, and a
record of a migration that contradicts it leaves both ends unknown.
"""

from kvm_balancer.migration import events
from kvm_balancer.model.cloud import records

COMPLETED = 'completed'
POST_COPY = 'running (post-copy)'

#: The words of one that went wrong.
FAILED = frozenset({'failed', 'error'})
#: The words of a live migration that is over; every other is under way.
OVER = FAILED | {COMPLETED, 'cancelled'}

#: Nova's power states.
_RUNNING = 1
_POWER = {
    _RUNNING: events.EndState.RUNNING,
    3: events.EndState.PAUSED,
    4: events.EndState.SHUT_OFF,
    6: events.EndState.SHUT_OFF,
    7: events.EndState.PAUSED,
}

Ends = tuple[events.End, events.End]


def unreachable(text: str) -> Ends:
    """Say of both ends that nobody can be asked."""
    end = events.End(events.EndState.UNREACHABLE, detail=text)
    return end, end


def read(
    source: str,
    destination: str,
    server: records.Server | None,
    migration: records.Migration | None,
) -> Ends:
    """Return what the source and the destination have.

    :param server: None where Nova has no such server any more
    :param migration: None where there is no record of it
    """
    if server is None:
        gone = events.End(events.EndState.ABSENT, detail='deleted in Nova')
        return gone, gone
    active = server.task_state == 'migrating' or (
        migration is not None and migration.status not in OVER
    )
    detail = _words(server, migration)
    if migration is not None and migration.status == POST_COPY:
        end = events.End(events.EndState.POST_COPY, True, detail)
        return end, end
    if (
        migration is not None
        and migration.status == COMPLETED
        and server.host == source
    ):
        # Seen in the field: which of the two records is true, Nova does not
        # know either.
        return unreachable(f'{detail}: its records contradict each other')
    state = _POWER.get(server.power_state)
    if state is None:
        return unreachable(f'{detail}: its power state is not known')
    here = events.End(state, active, detail)
    elsewhere = events.End(events.EndState.ABSENT, detail=detail)
    if server.host == source:
        return here, elsewhere
    if server.host == destination:
        return elsewhere, here
    return elsewhere, elsewhere


def _words(server: records.Server, migration: records.Migration | None) -> str:
    said = f'Nova: {server.status} on {server.host or "no host"}'
    if server.task_state:
        said += f', {server.task_state}'
    if migration is not None:
        said += f'; migration {migration.id} {migration.status}'
    return said
