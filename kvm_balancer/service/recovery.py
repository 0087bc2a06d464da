"""What an earlier run of the agent has left, and what becomes of it.

Its migrations are watched on, who was touched by them cools down, and where
they took instances is no work of others. Its plans are not carried on,
because a new one is soon made of the fleet as it is.
"""

from kvm_balancer.migration import request
from kvm_balancer.model import execution
from kvm_balancer.model import outcome
from kvm_balancer.planner import cooldown
from kvm_balancer.service import flights
from kvm_balancer.service import remembering
from kvm_balancer.service import restraint as restraints
from kvm_balancer.store import migration_records
from kvm_balancer.store import store as stores

#: No cooldown is longer, as a rule.
_WEEK_SECONDS = 7 * 86_400.0
#: What budgets are for, and more migrations than any agent begins in it.
_HOUR_SECONDS = 3600.0
_MOST_AN_HOUR = 10_000


def take_up(
    store: stores.Store,
    air: flights.Flights,
    cooldowns: cooldown.Cooldowns,
    restraint: restraints.Restraint,
    memory: remembering.SharedMemory,
    now: float,
) -> None:
    """Put into the four what *store* says of the earlier run.

    :raises StoreError: when the store does not answer
    """
    unknown = store.migrations.unknown()
    for record in (*store.migrations.unfinished(), *unknown):
        air.add(_flight_of(record))
    for kept in store.plans.running():
        for move in kept.moves:
            if move.state is execution.MoveState.PLANNED:
                store.plans.set_move_state(
                    kept.summary.id,
                    move.position,
                    execution.MoveState.DROPPED,
                    'the agent was started anew',
                )
        store.plans.set_state(kept.summary.id, execution.PlanState.STOPPED)
    last = store.migrations.last_moved(now - _WEEK_SECONDS)
    cooldowns.restore(last.instances, last.hosts)
    for instance, ended in last.ended.items():
        memory.moved(
            instance,
            ended.source,
            ended.destination,
            ended.at,
            ended.completed,
        )
    for flight in air.all():
        memory.ours(flight.wanted)
    for record in reversed(store.migrations.latest(_MOST_AN_HOUR)):
        if record.accepted_at > now - _HOUR_SECONDS:
            hoped = record.predicted
            expected = 0.0 if hoped is None else hoped.total_mib
            restraint.note(
                record.source,
                record.destination,
                max(record.transferred_mib or 0.0, expected),
                record.accepted_at,
            )


def unknown(store: stores.Store, owner: str) -> list[request.Request]:
    """Return what *owner* had carried out, and nobody knows the end of.

    :raises StoreError: when the store does not answer
    """
    return [request_of(one) for one in store.migrations.unknown(owner)]


def _flight_of(record: migration_records.MigrationRecord) -> flights.Flight:
    """Return what an earlier run of the agent had in the air.

    It is due to be asked about.
    """
    return flights.Flight(
        wanted=request_of(record),
        position=None,
        heard_at=0.0,
        # Only an executor that has it tells of other states.
        confirmed=record.state != migration_records.DISPATCHED,
        state=record.state,
        doubted=record.doubted,
        unknown=record.outcome is outcome.OutcomeKind.UNKNOWN,
    )


def request_of(record: migration_records.MigrationRecord) -> request.Request:
    """Return what is known of a command: that it has expired, at least."""
    return request.Request(
        migration_id=record.id,
        instance=record.instance,
        source=record.source,
        destination=record.destination,
        destination_uri='',
        accepted_at=record.accepted_at,
        plan_id=record.plan_id or '',
        owner=record.owner,
    )
