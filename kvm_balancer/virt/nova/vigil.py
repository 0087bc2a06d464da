"""The vigil over one migration that Nova was asked for, as a pure machine.

Nova answers 202 to a wish, and nothing is known by that. Sights of its
records go in, events of the migration come out:

- *asked*: no record of it is there yet; given up after a while;
- *waiting*: the record is there, and nothing is copied;
- *running*: memory is copied; figures are told where Nova has any;
- *post-copy*: there is no way back. Two of Nova's calls hide this state, and
  so do not show that it is over either;
- *settling*: the record has its last word, and the server is to agree with
  it and to have no task any more;
- *over*.

Each wait has a limit. One that passes ends the vigil with an error; what
became of the server is then read off both ends, as always.
"""

import dataclasses
import enum

from kvm_balancer.migration import events
from kvm_balancer.model.cloud import records
from kvm_balancer.virt.nova import ends

_MIB = 1024.0 * 1024.0

#: What Nova says before anything is copied.
_BEFORE = frozenset({'accepted', 'queued', 'preparing'})


class Phase(enum.StrEnum):
    """Where the vigil stands."""

    ASKED = 'asked'
    WAITING = 'waiting'
    RUNNING = 'running'
    POST_COPY = 'post-copy'
    SETTLING = 'settling'
    OVER = 'over'


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How long is waited, in seconds.

    :ivar appear_seconds: for a record of the migration
    :ivar quiet_seconds: for anything new in the records of a migration, or
        for an answer of Nova
    :ivar settle_seconds: for the server, after the migration's last word
    """

    appear_seconds: float = 60.0
    quiet_seconds: float = 900.0
    settle_seconds: float = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """Nova's records at one moment.

    :ivar server: None where it was deleted
    :ivar migration: None where there is no record of it
    :ivar why: it failed, where that is known
    """

    at: float
    server: records.Server | None
    migration: records.Migration | None
    why: str = ''


class Vigil:
    """Turns sights into events; call it in the order of their times.

    :ivar abort_due: nothing moved for too long: Nova is to end it
    """

    def __init__(
        self, source: str, destination: str, limits: Limits, asked_at: float
    ) -> None:
        self._source = source
        self._destination = destination
        self._limits = limits
        self.phase = Phase.ASKED
        self.abort_due = False
        self._asked_at = asked_at
        self._running_at = asked_at
        self._settling_at = asked_at
        self._changed_at = asked_at
        self._answered_at = asked_at
        self._last: tuple[object, ...] = ()
        self._figures: records.Migration | None = None
        self._figures_at = asked_at
        self._bandwidth_mib_s = 0.0

    @property
    def over(self) -> bool:
        """True when nothing more comes."""
        return self.phase is Phase.OVER

    def look(self, sight: Sight) -> tuple[events.Event, ...]:
        """Take in what Nova says now."""
        if self.over:
            return ()
        self._answered_at = sight.at
        self._note_change(sight)
        found = sight.migration
        if sight.server is None:
            return self._end(sight.at, 'the server was deleted meanwhile')
        if found is None:
            return self._without_record(sight)
        if found.status in ends.OVER:
            return self._settle(sight, sight.server, found)
        if sight.at - self._changed_at >= self._limits.quiet_seconds:
            self.abort_due = self.phase is not Phase.POST_COPY
            waited = self._limits.quiet_seconds
            return self._end(
                sight.at,
                f'Nova shows nothing new of migration {found.id}, which is '
                f'{found.status}, for {waited:g} s',
            )
        if found.status in _BEFORE:
            self.phase = Phase.WAITING
            return ()
        if found.status == ends.POST_COPY:
            return self._in_post_copy(sight, found)
        return self._run(sight, found)

    def blind(self, at: float, text: str) -> tuple[events.Event, ...]:
        """Take in that Nova did not answer."""
        if self.over or at - self._answered_at < self._limits.quiet_seconds:
            return ()
        return self._end(
            at, f'Nova does not answer any more: {text}', lost=True
        )

    def _note_change(self, sight: Sight) -> None:
        seen = (
            sight.migration and dataclasses.astuple(sight.migration),
            sight.server and (sight.server.host, sight.server.task_state),
        )
        if seen != self._last:
            self._last = seen
            self._changed_at = sight.at

    def _without_record(self, sight: Sight) -> tuple[events.Event, ...]:
        if self.phase is not Phase.ASKED:
            # It was there, and lists are not always complete.
            return ()
        if sight.at - self._asked_at < self._limits.appear_seconds:
            return ()
        return self._end(
            sight.at,
            f'Nova has no record of it {self._limits.appear_seconds:g} s '
            'after it was asked',
        )

    def _run(
        self, sight: Sight, found: records.Migration
    ) -> tuple[events.Event, ...]:
        if self.phase is not Phase.RUNNING:
            self.phase = Phase.RUNNING
            self._running_at = sight.at
        if not found.memory_total:
            # A driver without figures: none is made up for it.
            return ()
        return (
            events.Progressed(
                at=sight.at,
                cause="Nova's figures",
                statistics=self._statistics(sight.at, found),
            ),
        )

    def _in_post_copy(
        self, sight: Sight, found: records.Migration
    ) -> tuple[events.Event, ...]:
        if self.phase is Phase.POST_COPY:
            return ()
        self.phase = Phase.POST_COPY
        return (
            events.PostCopyBegun(
                at=sight.at, cause=f'Nova: migration {found.id} {found.status}'
            ),
        )

    def _settle(
        self, sight: Sight, server: records.Server, found: records.Migration
    ) -> tuple[events.Event, ...]:
        if self.phase is not Phase.SETTLING:
            self.phase = Phase.SETTLING
            self._settling_at = sight.at
        late = sight.at - self._settling_at >= self._limits.settle_seconds
        error = (
            ''
            if found.status == ends.COMPLETED
            else _failure(server, found, sight.why)
        )
        if server.task_state:
            if not late:
                return ()
            error = error or (
                f'the server is still {server.task_state} after its migration '
                f'was {found.status}'
            )
        elif found.status == ends.COMPLETED and server.host == self._source:
            if not late:
                return ()
            error = (
                f'migration {found.id} is {found.status}, and the server '
                f'still on {server.host}'
            )
        return self._end(sight.at, error)

    def _end(
        self, at: float, error: str, lost: bool = False
    ) -> tuple[events.Event, ...]:
        self.phase = Phase.OVER
        return (
            events.CallReturned(
                at=at, cause='os-migrateLive', error=error, events_lost=lost
            ),
        )

    def _statistics(
        self, at: float, found: records.Migration
    ) -> events.Statistics:
        """Return Nova's figures as far as it has any.

        It tells no passes. What was sent beside all there is says how many
        there must have been at least.
        """
        total = found.memory_total or 0
        sent = found.memory_processed or 0
        before = self._figures
        if before is None or sent != (before.memory_processed or 0):
            seconds = at - self._figures_at
            if before is not None and seconds > 0:
                moved = sent - (before.memory_processed or 0)
                self._bandwidth_mib_s = max(moved, 0) / _MIB / seconds
            self._figures, self._figures_at = found, at
        return events.Statistics(
            elapsed_ms=(at - self._running_at) * 1000.0,
            total_mib=total / _MIB,
            transferred_mib=sent / _MIB,
            remaining_mib=(found.memory_remaining or 0) / _MIB,
            bandwidth_mib_s=self._bandwidth_mib_s,
            iteration=1 + sent // total,
            disk_total_mib=(found.disk_total or 0) / _MIB,
            disk_remaining_mib=(found.disk_remaining or 0) / _MIB,
        )


def _failure(
    server: records.Server, found: records.Migration, why: str
) -> str:
    said = f'migration {found.id} of Nova: {found.status}'
    if server.fault or why:
        said += f': {server.fault or why}'
    elif found.status in ends.FAILED:
        said += f'; the log of nova-compute on {found.source} says why'
    if server.status == 'ERROR':
        said += (
            '; the server is in ERROR: when it is sure that its guest runs, '
            f'openstack server set --state active {server.id}'
        )
    return said
