"""The executor of one host: what it accepts, runs, remembers and reports.

A migration is accepted once. It is written into the journal before anything
is touched, so that the same command, asked again or delivered again, finds
it there; its outcome leaves the outbox only when the broker has confirmed
it. Commands for instances that are not ours to move are refused here, too,
whatever the agent believes.
"""

import collections
import collections.abc
import dataclasses
import logging
import threading
import time

import msgspec

from kvm_balancer import errors
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.service import admission
from kvm_balancer.service import adoption
from kvm_balancer.service import journal
from kvm_balancer.service import migrations
from kvm_balancer.service import reservations
from kvm_balancer.service import roster
from kvm_balancer.service import unattended
from kvm_balancer.store import outbox
from kvm_balancer.virt import driver
from kvm_balancer.virt import steady

LOG = logging.getLogger(__name__)

OUTCOME = journal.OUTCOME

#: For so long a command that comes again finds its migration.
_KEEP_SECONDS = 30 * 86_400.0
_DENIED_AT_MOST = 10_000

#: Makes the machine of a migration, with the convergence that it asks for.
MakeMachine = collections.abc.Callable[[request.Request], machine.Machine]


class Executor:
    """Carries out the migrations whose source is this host.

    :param host: name of this host in the fleet
    :param make_machine: makes the machine of one migration
    :param on_progress: tells whoever watches; may lose what it is told
    :param on_outcome: called after an outcome was put into the outbox
    :param max_outgoing: most migrations away from this host at a time
    :param reserver: reserves at destinations; None where nobody promises
        any
    :param on_asked: called with an instance of which a migration is asked
        for, before anything is done about it; returns at once
    :param ask_state: asks the executors of other hosts for migrations
    """

    def __init__(
        self,
        host: str,
        hypervisor: driver.Driver,
        memory: outbox.Outbox,
        make_machine: MakeMachine,
        on_progress: migrations.OnProgress,
        on_outcome: collections.abc.Callable[[], None],
        max_outgoing: int,
        clock: collections.abc.Callable[[], float] = time.time,
        reserver: reservations.Reservations | None = None,
        on_asked: collections.abc.Callable[[str], None] = lambda _: None,
        ask_state: admission.AskState | None = None,
    ) -> None:
        self._host = host
        self._reserver = reserver
        self._on_asked = on_asked
        self._ask_state = ask_state
        self._hypervisor = hypervisor
        self._memory = memory
        self._make_machine = make_machine
        self._on_progress = on_progress
        self._on_outcome = on_outcome
        self._clock = clock
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._journal = journal.Journal(memory, self._stopping)
        self._roster = roster.Roster(host, max_outgoing)
        self._search = adoption.Search(host, hypervisor, memory, self._take_up)
        #: migrations that were said not to be here: so they stay away
        self._denied: collections.deque[str] = collections.deque(
            maxlen=_DENIED_AT_MOST
        )

    def migrate(self, wanted: request.Request) -> str:
        """Accept a migration and begin it.

        Asking again with the same id changes nothing.

        :returns: the state it is in
        :raises MigrationError: when it is refused, with the reason
        :raises StoreError: when it cannot be remembered
        """
        with self._lock:
            known = self._memory.entry(wanted.migration_id)
            if known is not None:
                return self._state(known)
            self._refuse_unfit(wanted)
            self._roster.asked.append(wanted.instance)
        try:
            self._on_asked(wanted.instance)
            # Without the lock: a hypervisor may take its time, and meanwhile
            # others ask, cancel and end.
            return self._accept(
                *admission.admit(self._hypervisor, wanted, self._ask_state)
            )
        finally:
            with self._lock:
                self._roster.asked.remove(wanted.instance)

    def _accept(
        self, wanted: request.Request, view: driver.InstanceView
    ) -> str:
        """Write a migration down that may begin, and begin it."""
        with self._lock:
            known = self._memory.entry(wanted.migration_id)
            if known is not None:
                return self._state(known)
            self._refuse_unfit(wanted)
            wanted = dataclasses.replace(wanted, accepted_at=self._clock())
            runner = migrations.MigrationRunner(
                self._hypervisor,
                self._make_machine(wanted),
                self._note_progress,
                self._note_outcome,
                steady.SteadyClock(wanted.accepted_at),
                reservation=(
                    None
                    if self._reserver is None
                    else self._reserver.prepare(wanted, view)
                ),
                on_seen=self._journal.remember,
            )
            # Written down before it begins: who is killed in between finds
            # out what became of it.
            self._memory.accept(
                wanted.migration_id,
                msgspec.json.encode(messages.encode_request(wanted)),
                runner.state,
                wanted.accepted_at,
            )
            self._roster.put(runner)
            runner.start()
        LOG.info(
            'Migration %s of %s to %s accepted',
            wanted.migration_id,
            wanted.instance,
            wanted.destination,
        )
        return runner.state

    def cancel(self, migration_id: str, reason: str) -> str:
        """Ask for the end of a migration; its outcome says what came of it.

        :returns: the state it is in now
        :raises NotFound: when it was never accepted here, and never will
        :raises MigrationError: when nobody looks after it
        """
        with self._lock:
            runner = self._roster.get(migration_id)
            if runner is not None:
                runner.cancel(reason)
                return runner.state
        return self.state(migration_id)

    def settle(self, wish: messages.Settle) -> str:
        """Believe a person how a migration ended that is unknown.

        Of one that came here from elsewhere the mark is taken off: its
        instance may be moved again.

        :returns: the state it is in now; where that is unknown still, its
            outcome follows
        :raises MigrationError: when more is known of it here, or seen of what
            came, with what
        :raises NotFound: when it was never accepted here
        """
        with self._lock:
            runner = self._roster.get(wish.migration_id)
            known = self._memory.entry(wish.migration_id)
        if runner is not None:
            if not runner.attended:
                self._search.settle(wish, runner.request)
            runner.settle(wish.completed, wish.reason)
            runner.wait(migrations.SETTLE_SECONDS)
            return runner.state
        if known is None:
            self._search.settle(wish)
            raise errors.NotFound(
                f'{self._host} knows no migration {wish.migration_id}'
            )
        return known.state

    def state(self, migration_id: str) -> str:
        """Say where a migration stands.

        :raises NotFound: when it was never accepted here; nor will it be:
            who asked relies on that, and the command may still be on its way
        """
        with self._lock:
            known = self._memory.entry(migration_id)
            if known is None:
                self._denied.append(migration_id)
                raise errors.NotFound(
                    f'{self._host} knows no migration {migration_id}'
                )
            return self._state(known)

    def running(self) -> list[str]:
        """Return the ids of the migrations under way."""
        with self._lock:
            return list(self._roster.all())

    def is_free(self, instance: str) -> bool:
        """Say whether no migration of an instance (a uuid) is to be expected.

        Neither is one under way, nor is one being decided on.
        """
        with self._lock:
            return self._roster.is_free(instance)

    def recover(self) -> None:
        """Take up the migrations that an earlier run began.

        Those whose journal is gone are looked for meanwhile, by the marks of
        their instances.
        """
        try:
            self._memory.purge(self._clock() - _KEEP_SECONDS)
        except errors.StoreError as error:
            # A full disk keeps nobody from looking after an instance.
            LOG.warning('The journal keeps what is old: %s', error)
        for left in adoption.unfinished(self._memory, self._host):
            self._take_up(left)
        self._search.start()

    def _take_up(self, left: adoption.Left) -> None:
        """Find out what became of a migration, and go on with it."""
        wanted = left.wanted
        self._on_asked(wanted.instance)
        trouble = left.trouble or self._adopt(left)
        if trouble:
            LOG.error(
                'Migration %s is not looked after: %s',
                wanted.migration_id,
                trouble,
            )
            alone = unattended.Unattended(
                wanted,
                trouble,
                self._note_outcome,
                steady.SteadyClock(),
                left.known,
            )
            self._keep(dataclasses.replace(left, told_unknown=True), alone)
            alone.start()

    def _adopt(self, left: adoption.Left) -> str:
        """Look after a migration; return why not, empty where that is done."""
        wanted, reserved = left.wanted, None
        if self._reserver is not None and left.owned:
            reserved = self._reserver.adopt(
                wanted, lambda: self._hypervisor.view(wanted.instance)
            )
        try:
            runner = migrations.MigrationRunner(
                self._hypervisor,
                self._make_machine(wanted),
                self._note_progress,
                self._note_outcome,
                reservation=reserved,
                on_seen=self._journal.remember,
            )
        except Exception as error:
            if reserved is not None:
                reserved.leave()
            if isinstance(error, errors.KVMBalancerError):
                return str(error)
            # A plugin that breaks keeps nobody from the other migrations.
            LOG.exception('Nothing can look after %s', wanted.migration_id)
            return f'{type(error).__name__}: {error}'
        self._keep(left, runner)
        runner.adopt(left.owned, left.told_unknown, left.known)
        return ''

    def _keep(self, left: adoption.Left, runner: roster.Runner) -> None:
        """Have one be found, in place of who told that nobody looks."""
        with self._lock:
            before = self._roster.put(runner, left.told_unknown)
        if before is not None:
            before.leave()

    def stop(self) -> None:
        """Let go; a migration under way goes on without us.

        The hypervisors carry it to its end by themselves, and the next run
        finds it in the journal.
        """
        self._stopping.set()
        self._search.stop()
        with self._lock:
            left = self._roster.all()
        for migration_id, runner in left.items():
            LOG.warning(
                'Migration %s goes on while this executor ends', migration_id
            )
            runner.leave()
        for runner in left.values():
            runner.wait()

    def _state(self, known: outbox.Entry) -> str:
        runner = self._roster.get(known.migration_id)
        return known.state if runner is None else runner.state

    def _refuse_unfit(self, wanted: request.Request) -> None:
        """Refuse what this host cannot begin now."""
        if wanted.source != self._host:
            raise errors.MigrationError(
                f'this is {self._host}, and the migration starts at '
                f'{wanted.source}'
            )
        if wanted.expires_at and self._clock() > wanted.expires_at:
            raise errors.MigrationError(
                f'migration {wanted.migration_id} was to begin earlier: the '
                'command was held up, or the clocks of agent and host differ'
            )
        if wanted.migration_id in self._denied:
            raise errors.MigrationError(
                f'migration {wanted.migration_id} was asked about before its '
                'command came, and called off by that'
            )
        self._roster.refuse_more(wanted.instance)

    def _note_progress(
        self, wanted: request.Request, report: instructions.ReportProgress
    ) -> None:
        """See whether one that was unknown runs on, and tell how far it is."""
        with self._lock:
            self._roster.stand(wanted.migration_id, report.state)
        self._on_progress(wanted, report)

    def _note_outcome(self, ended: outcome.Outcome) -> None:
        """Write the end down; only then may another migration begin.

        One that is unknown is told as well, and looked after as before.

        :raises StoreError: when one that is unknown could not be kept
        """
        name = ended.migration_id
        with self._lock:
            runner = self._roster.get(name)
        told = '' if runner is None else runner.known.told
        if not self._journal.conclude(ended, told):
            return
        unknown = ended.outcome is outcome.OutcomeKind.UNKNOWN
        with self._lock:
            if unknown:
                self._roster.doubt(name)
            else:
                self._roster.drop(name)
        LOG.log(
            logging.ERROR if unknown else logging.INFO,
            'Migration %s of %s: %s (%s)',
            name,
            ended.instance,
            ended.outcome,
            ended.reason,
        )
        self._on_outcome()
