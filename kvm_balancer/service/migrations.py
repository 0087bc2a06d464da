"""The shell around the machine of one migration.

Events come from the carrier, the clock and whoever cancels, through one
queue; instructions go to the carrier. This module owns the thread and the
clock of a migration and decides nothing: what follows what is the
machine's, what is done to the hypervisor is the driver's.
"""

import collections.abc
import dataclasses
import logging
import queue
import threading

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import knowledge
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.service import reserved
from kvm_balancer.service import unattended
from kvm_balancer.virt import driver
from kvm_balancer.virt import steady

LOG = logging.getLogger(__name__)

#: Called with what was asked for and how far it is.
OnProgress = collections.abc.Callable[
    [request.Request, instructions.ReportProgress], None
]
#: Called with the record of the finished migration, and before it with one
#: for each finding while it is unknown. StoreError: to be told again.
OnOutcome = collections.abc.Callable[[outcome.Outcome], None]
#: Called with what was seen, before anything is done that follows from it.
#: StoreError: to be told again.
OnSeen = collections.abc.Callable[[request.Request, knowledge.Knowledge], None]

#: How the machine is set going, at a time.
Beginning = collections.abc.Callable[
    [float], tuple[instructions.Instruction, ...]
]

#: How often a migration looks at its limits in time when nothing happens.
TICK_SECONDS = 1.0

#: Who settles a migration waits so long for the end of it: no longer than a
#: call to an executor may take, where the marks do not come off.
SETTLE_SECONDS = 5.0


class MigrationRunner:
    """Carries one migration from its request to its verified end.

    :param hypervisor: what carries it: the driver of the source host,
        connected, or that of whoever owns the instance
    :param life: the machine of this migration, not yet begun
    :param on_progress: called from the runner's thread
    :param on_outcome: called from the runner's thread: once, and before that
        for each finding while it is unknown
    :param clock: of all events of this migration; None for one that shows
        the time of day as it is now, and is not set
    :param reservation: None where nobody can be asked for it
    :param on_seen: called from the runner's thread
    """

    def __init__(
        self,
        hypervisor: driver.Carriers,
        life: machine.Machine,
        on_progress: OnProgress,
        on_outcome: OnOutcome,
        clock: steady.Clock | None = None,
        reservation: reserved.Reservation | None = None,
        on_seen: OnSeen = lambda _wanted, _known: None,
    ) -> None:
        self._life = life
        self._on_seen = on_seen
        self._seen = life.known
        #: an outcome that whoever keeps them has not taken yet
        self._untold: outcome.Outcome | None = None
        self._trouble = ''
        self._on_progress = on_progress
        self._on_outcome = on_outcome
        self._clock = clock or steady.SteadyClock()
        self._reservation = (
            reserved.Unreserved(self._clock)
            if reservation is None
            else reservation
        )
        #: None tells the thread that it is to leave
        self._events: queue.SimpleQueue[events.Event | None] = (
            queue.SimpleQueue()
        )
        self._ended = threading.Event()
        #: takes the place of the machine where that, or this, has broken
        self._unattended: unattended.Unattended | None = None
        self._carrier = hypervisor.carrier(
            life.request, self._events.put, self._clock
        )

    @property
    def request(self) -> request.Request:
        """What was asked for."""
        return self._life.request

    @property
    def state(self) -> str:
        """Where the migration stands now."""
        return (self._unattended or self._life).state

    @property
    def known(self) -> knowledge.Knowledge:
        """What whoever takes it up after a crash has to know."""
        return (self._unattended or self._life).known

    @property
    def attended(self) -> bool:
        """False where nothing looks at the ends of it any more."""
        return self._unattended is None

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._spawn(self._life.begin)

    def adopt(
        self,
        owned: bool = True,
        told_unknown: bool = False,
        known: knowledge.Knowledge | None = None,
    ) -> None:
        """Take up what an earlier run began: see what became of it.

        :param owned: it is in the journal; else it is only watched
        :param told_unknown: that it is unknown was told before
        :param known: what the earlier run wrote down
        """
        self._seen = known or self._seen
        self._spawn(
            lambda at: self._life.adopt(at, owned, told_unknown, known)
        )

    def cancel(self, cause: str) -> None:
        """Ask for the end of the migration; its outcome says what came.

        :raises MigrationError: when nobody looks after it any more
        """
        if self._unattended is not None:
            self._unattended.cancel(cause)
        self._events.put(events.CancelAsked(at=self._clock(), cause=cause))

    def settle(self, completed: bool, cause: str) -> None:
        """Believe a person how the migration ended; its outcome follows.

        :param cause: who says so, and why
        :raises MigrationError: when more is known than that, with what
        """
        objection = self._life.objection(completed)
        if objection and self.attended:
            raise errors.MigrationError(
                f'migration {self.request.migration_id} is not settled by '
                f'hand: {objection}'
            )
        self._events.put(
            events.SettledByHand(
                at=self._clock(), cause=cause, completed=completed
            )
        )

    def leave(self) -> None:
        """Let go of the migration as it is; nothing more is told of it.

        The hypervisors carry it on by themselves.
        """
        self._events.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the last outcome was handed over, or it was left.

        :returns: False when *timeout* seconds went by first
        """
        return self._ended.wait(timeout)

    def _spawn(self, beginning: Beginning) -> None:
        threading.Thread(
            target=self._run,
            args=(beginning,),
            name=f'migration-{self.request.migration_id[:8]}',
            daemon=True,
        ).start()

    def _run(self, beginning: Beginning) -> None:
        try:
            self._carry_out(self._set_out(beginning))
            while not self._life.state.ended:
                event = self._next_event()
                if event is None:
                    return
                self._tell_again()
                self._carry_out(self._step(event))
        except Exception as error:
            LOG.exception(
                'Migration %s is not looked after any more',
                self.request.migration_id,
            )
            self._stand_by(f'{type(error).__name__}: {error}')
        finally:
            self._reservation.leave()
            self._carrier.close()
            self._ended.set()

    def _stand_by(self, error: str) -> None:
        """Tell that it is unknown, and wait for a person's word on it."""
        self._unattended = unattended.Unattended(
            self.request,
            f'a defect, of which the log says more ({error})',
            self._on_outcome,
            self._clock,
            self._life.known,
            self._events,
        )
        self._unattended.run()
        if self._unattended.settled:
            self._perform(instructions.Unmark())
            self._try(instructions.Release(), self._reservation.release)

    def _set_out(
        self, beginning: Beginning
    ) -> tuple[instructions.Instruction, ...]:
        """Let the machine begin; one that cannot is unknown, as any other."""
        at = self._clock()
        try:
            return beginning(at)
        except Exception:
            LOG.exception(
                'Migration %s could not begin', self.request.migration_id
            )
        return self._life.doubt(
            at, events.Accepted(at=at, cause='its beginning')
        )

    def _next_event(self) -> events.Event | None:
        try:
            return self._events.get(timeout=TICK_SECONDS)
        except queue.Empty:
            return events.Ticked(at=self._clock(), cause='clock')

    def _step(
        self, event: events.Event
    ) -> tuple[instructions.Instruction, ...]:
        """Let the machine answer one event.

        An event that its tables do not allow, and one that its rules stumble
        over, is a defect of ours or a surprise of the hypervisor's: the guest
        must not pay for it. Nothing is ended, but nor is what was believed of
        the migration any more: it is unknown until both ends have told.
        """
        try:
            return self._life.handle(event)
        except errors.MigrationError as error:
            LOG.error('Migration %s: %s', self.request.migration_id, error)
        except Exception:
            LOG.exception(
                'Migration %s: %s could not be answered',
                self.request.migration_id,
                type(event).__name__,
            )
        return self._life.doubt(self._clock(), event)

    def _carry_out(self, wishes: tuple[instructions.Instruction, ...]) -> None:
        self._tell_seen()
        for wish in wishes:
            match wish:
                case instructions.ReportProgress():
                    self._report(wish)
                case instructions.Conclude():
                    self._untold = wish.outcome
                    self._tell_again()
                case instructions.Reserve(images=images):
                    self._try(
                        wish,
                        lambda: self._reservation.reserve(
                            self._tell_by_clock, images
                        ),
                    )
                case instructions.Release():
                    self._try(wish, self._reservation.release)
                case instructions.Follow():
                    self._try(
                        wish,
                        lambda: self._reservation.share(self._tell_by_clock),
                    )
                    self._perform(wish)
                case _:
                    self._perform(wish)

    def _tell_seen(self) -> None:
        """Have what was seen kept; a disk that is full holds up nothing."""
        known = self._life.known
        if dataclasses.replace(known, told=self._seen.told) == self._seen:
            return
        try:
            self._on_seen(self.request, known)
        except errors.StoreError as error:
            self._warn(str(error))
        else:
            self._seen = known

    def _tell_again(self) -> None:
        """Tell an outcome, or once more one that could not be kept."""
        if self._untold is None:
            return
        try:
            self._on_outcome(self._untold)
        except errors.StoreError as error:
            self._warn(str(error))
        else:
            self._untold = None

    def _warn(self, trouble: str) -> None:
        if trouble != self._trouble:
            LOG.error(
                'What becomes of migration %s cannot be kept, and is looked '
                'after all the same: %s',
                self.request.migration_id,
                trouble,
            )
        self._trouble = trouble

    def _tell_by_clock(self, event: events.Event) -> None:
        """Take an event of whoever goes by another clock, as of now."""
        self._events.put(dataclasses.replace(event, at=self._clock()))

    def _report(self, report: instructions.ReportProgress) -> None:
        """Tell whoever watches; a migration does not end with its watchers."""
        try:
            self._on_progress(self.request, report)
        except Exception:
            LOG.exception(
                'The progress of migration %s could not be told',
                self.request.migration_id,
            )

    def _perform(self, wish: instructions.Instruction) -> None:
        """Let the carrier perform a wish."""
        self._try(wish, lambda: self._carrier.perform(wish))

    def _try(
        self,
        wish: instructions.Instruction,
        work: collections.abc.Callable[[], None],
    ) -> None:
        """Carry a wish out; one that breaks is refused."""
        try:
            work()
        except Exception as error:
            name = type(wish).__name__
            LOG.exception(
                'Migration %s: %s failed', self.request.migration_id, name
            )
            self._events.put(
                events.Refused(
                    at=self._clock(),
                    cause=name,
                    instruction=name,
                    text=f'{type(error).__name__}: {error}',
                )
            )
