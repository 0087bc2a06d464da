"""Migrations of servers, carried out by the agent through Nova.

What the executor of a host is to its instances, this is to those of Nova,
wherever they are: it accepts a migration once, runs it, and tells how it
ended. It keeps no journal: the agent's store has every migration before it
begins, and what an earlier run has begun is taken up from there, never asked
for again.
"""

import collections.abc
import dataclasses
import logging
import threading
import time

from kvm_balancer import errors
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import events
from kvm_balancer.migration import image_room
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration import reservation
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.options import wishes
from kvm_balancer.model import outcome
from kvm_balancer.service import migrations
from kvm_balancer.service import reserved
from kvm_balancer.virt import driver
from kvm_balancer.virt import steady

LOG = logging.getLogger(__name__)

MakeMachine = collections.abc.Callable[[request.Request], machine.Machine]
#: Keeps an outcome, or raises StoreError.
Conclude = collections.abc.Callable[[outcome.Outcome], None]
Tell = collections.abc.Callable[[messages.Progress], None]
#: Says what a server asks of its migrations.
AsksOf = collections.abc.Callable[[str], wishes.Wishes]

#: Pause before an outcome that the store did not take is told again.
_RETRY_SECONDS = 2.0
#: So many ends are remembered, for who asks about them.
_REMEMBERED = 10_000


class Claimed:
    """Room that Nova claims by itself, in Placement and on the host."""

    def __init__(
        self, clock: collections.abc.Callable[[], float] = time.time
    ) -> None:
        self._clock = clock

    def reserve(
        self, tell: reserved.Tell, images: tuple[image_room.Need, ...] = ()
    ) -> None:
        tell(
            events.Reserved(
                at=self._clock(),
                cause='Nova',
                checks=(
                    events.Check(
                        reservation.CHECK,
                        events.Verdict.PASSED,
                        'Nova claims it when the migration begins',
                    ),
                ),
            )
        )

    def share(self, tell: reserved.Tell) -> None:
        """Do nothing: Nova shares its bandwidth out by itself."""

    def release(self) -> None:
        """Do nothing: Nova gives back what it has claimed."""

    def leave(self) -> None:
        """Do nothing: Nova gives back what it has claimed."""


class CloudExecutor:
    """Carries out migrations of servers, wherever they begin.

    :param conclude: keeps an outcome
    :param tell: takes reports of progress; what it raises is logged
    :param max_running: most migrations at a time
    """

    def __init__(
        self,
        nova: driver.Carriers,
        make_machine: MakeMachine,
        conclude: Conclude,
        tell: Tell,
        asks_of: AsksOf,
        max_running: int,
        clock: collections.abc.Callable[[], float] = time.time,
    ) -> None:
        self._nova = nova
        self._make_machine = make_machine
        self._conclude = conclude
        self._tell = tell
        self._asks_of = asks_of
        self._max_running = max_running
        self._clock = clock
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._running: dict[str, migrations.MigrationRunner] = {}
        #: ids of those that have ended, and whose outcome is being kept
        self._ending: set[str] = set()
        self._ended: dict[str, str] = {}

    def knows(self, migration_id: str) -> bool:
        """Say whether a migration was accepted by this run."""
        with self._lock:
            return migration_id in self._running or migration_id in self._ended

    def migrate(self, wanted: request.Request) -> str:
        """Accept a migration and begin it; asking again changes nothing.

        :returns: the state it is in
        :raises MigrationError: when it is refused, with the reason
        """
        asks = self._asks_of(wanted.instance)
        with self._lock:
            known = self._state(wanted.migration_id)
            if known is not None:
                return known
            self._refuse_unfit(wanted)
            merged = wishes.merge(wanted.options, asks)
            now = self._clock()
            wanted = dataclasses.replace(
                wanted,
                accepted_at=now,
                options=merged.options,
                notes=(*wanted.notes, *merged.changes),
            )
            runner = self._runner(wanted)
            self._running[wanted.migration_id] = runner
            runner.start()
        LOG.info(
            'Migration %s of %s to %s is asked of Nova',
            wanted.migration_id,
            wanted.instance,
            wanted.destination,
        )
        return runner.state

    def adopt(
        self, wanted: request.Request, told_unknown: bool = False
    ) -> None:
        """Take up what an earlier run began: see what became of it.

        :param told_unknown: that it is unknown was told before
        """
        with self._lock:
            if self._state(wanted.migration_id) is not None:
                return
            runner = self._runner(wanted)
            self._running[wanted.migration_id] = runner
        LOG.warning(
            'Migration %s of %s was %s when the agent ended; looking at '
            "Nova's records",
            wanted.migration_id,
            wanted.instance,
            'unknown' if told_unknown else 'under way',
        )
        runner.adopt(told_unknown=told_unknown)

    def cancel(self, migration_id: str, reason: str) -> str:
        """Ask for the end of a migration; its outcome says what came of it.

        :raises NotFound: when it is not known
        """
        with self._lock:
            runner = self._running.get(migration_id)
            if runner is not None:
                runner.cancel(reason)
        return self.state(migration_id)

    def settle(self, wish: messages.Settle) -> str:
        """Believe a person how a migration ended that is unknown.

        :raises NotFound: when it is not known
        :raises MigrationError: when more is known of it, with what
        """
        with self._lock:
            runner = self._running.get(wish.migration_id)
        if runner is not None:
            runner.settle(wish.completed, wish.reason)
            runner.wait(migrations.SETTLE_SECONDS)
        return self.state(wish.migration_id)

    def state(self, migration_id: str) -> str:
        """Say where a migration stands.

        :raises NotFound: when it is not known
        """
        with self._lock:
            found = self._state(migration_id)
        if found is None:
            raise errors.NotFound(f'no migration {migration_id} is known here')
        return found

    def stop(self) -> None:
        """Let go; Nova carries on what is under way."""
        self._stopping.set()
        with self._lock:
            left = list(self._running.values())
        for runner in left:
            runner.leave()
        for runner in left:
            runner.wait()
        self._nova.close()

    def _state(self, migration_id: str) -> str | None:
        runner = self._running.get(migration_id)
        if runner is not None:
            return runner.state
        return self._ended.get(migration_id)

    def _refuse_unfit(self, wanted: request.Request) -> None:
        if wanted.expires_at and self._clock() > wanted.expires_at:
            raise errors.MigrationError(
                f'migration {wanted.migration_id} was to begin earlier'
            )
        for runner in self._running.values():
            if runner.request.instance == wanted.instance:
                raise errors.MigrationError(
                    f'server {wanted.instance} is in migration '
                    f'{runner.request.migration_id} already'
                )
        # Who is told that one has ended may be quicker than we are.
        busy = sum(
            runner.state != states.State.UNKNOWN
            for name, runner in self._running.items()
            if name not in self._ending
        )
        if busy >= self._max_running:
            raise errors.MigrationError(
                f'{busy} migrations go through Nova, and '
                f'[nova] max_migrations is {self._max_running}'
            )

    def _runner(self, wanted: request.Request) -> migrations.MigrationRunner:
        return migrations.MigrationRunner(
            self._nova,
            self._make_machine(wanted),
            self._report,
            self._note_outcome,
            steady.SteadyClock(),
            reservation=Claimed(),
        )

    def _report(
        self, wanted: request.Request, report: instructions.ReportProgress
    ) -> None:
        self._tell(messages.progress(wanted, report, self._clock()))

    def _note_outcome(self, ended: outcome.Outcome) -> None:
        """Tell until it is kept; only then may another migration begin.

        Should the agent end first, the next run finds the migration in the
        store and looks at Nova's records.
        """
        trouble = ''
        with self._lock:
            self._ending.add(ended.migration_id)
        while not self._stopping.is_set():
            try:
                self._conclude(ended)
            except errors.StoreError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    LOG.error(
                        'The outcome of migration %s cannot be kept: %s',
                        ended.migration_id,
                        trouble,
                    )
                self._stopping.wait(_RETRY_SECONDS)
            else:
                break
        with self._lock:
            self._ending.discard(ended.migration_id)
            if ended.outcome is outcome.OutcomeKind.UNKNOWN:
                # It is looked at again, and its server left alone meanwhile.
                return
            self._running.pop(ended.migration_id, None)
            self._ended[ended.migration_id] = ended.outcome.value
            while len(self._ended) > _REMEMBERED:
                del self._ended[next(iter(self._ended))]
