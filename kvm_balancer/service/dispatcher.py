"""Plans on their way: commands to the executors, states to the store.

Which move may start is decided by :mod:`kvm_balancer.planner.dispatch`; this
module carries it out. A command is sent with the id of its migration and may
be lost, so a migration that was not heard of for a while is asked about
again: an executor that never confirmed it gets the same command, until it
expires; one that did is asked for its state. What cannot be known stays in
the air, and its instance is left alone.
"""

import collections.abc
import dataclasses
import logging
import threading
import time
import uuid

from kvm_balancer import errors
from kvm_balancer.filters import base as filter_base
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import request
from kvm_balancer.model import execution
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import outcome
from kvm_balancer.model import plan as plans
from kvm_balancer.model import sample
from kvm_balancer.planner import cooldown
from kvm_balancer.planner import dispatch
from kvm_balancer.planner import revalidation
from kvm_balancer.service import executor_client
from kvm_balancer.service import flights
from kvm_balancer.store import store as stores

LOG = logging.getLogger(__name__)

#: How often what is under way is looked after.
STEP_SECONDS = 1.0

#: Says what a host last told of itself; None where it is not known.
FactsOf = collections.abc.Callable[[str], sample.HostFacts | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """Limits of what is carried out.

    :ivar options: limits and means of every migration
    :ivar max_migrations: most migrations under way in the fleet
    :ivar command_retry_seconds: silence after which an executor is asked
    :ivar command_lifetime_seconds: a command is not begun after it
    """

    options: request.Options
    max_migrations: int = 8
    command_retry_seconds: float = 30.0
    command_lifetime_seconds: float = 120.0


class Dispatcher:
    """Carries out one plan at a time, and watches all migrations.

    :param filters: held against every move again when its turn comes
    """

    def __init__(
        self,
        store: stores.Store,
        executors: executor_client.ExecutorClient,
        cooldowns: cooldown.Cooldowns,
        filters: tuple[filter_base.Filter, ...],
        facts_of: FactsOf,
        params: Params,
        clock: collections.abc.Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._executors = executors
        self._cooldowns = cooldowns
        self._filters = filters
        self._facts_of = facts_of
        self._params = params
        self._clock = clock
        self._lock = threading.RLock()
        self._current: dispatch.Dispatch | None = None
        self.flights = flights.Flights()

    @property
    def idle(self) -> bool:
        """True when no plan is being carried out."""
        return self._current is None

    def recover(self) -> None:
        """Take up what an earlier run of the agent has left.

        Its migrations are watched on; its plans are not carried on, because
        a new one is soon made of the fleet as it is.
        """
        now = self._clock()
        for record in self._store.migrations.unfinished():
            self.flights.add(
                flights.Flight(
                    wanted=request.Request(
                        migration_id=record.id,
                        instance=record.instance,
                        source=record.source,
                        destination=record.destination,
                        destination_uri='',
                        accepted_at=record.accepted_at,
                        plan_id=record.plan_id or '',
                    ),
                    position=None,
                    # It is due to be asked about. The command itself is not
                    # known any more, so it has expired.
                    heard_at=0.0,
                    state=record.state,
                )
            )
        for kept in self._store.plans.running():
            for move in kept.moves:
                if move.state is execution.MoveState.PLANNED:
                    self._store.plans.set_move_state(
                        kept.summary.id,
                        move.position,
                        execution.MoveState.DROPPED,
                        'the agent was started anew',
                    )
            self._store.plans.set_state(
                kept.summary.id, execution.PlanState.STOPPED
            )
        last = self._store.migrations.last_moved(now - 7 * 86400.0)
        self._cooldowns.restore(last.instances, last.hosts)

    def begin(self, plan_id: str, plan: plans.Plan) -> None:
        """Carry *plan* out from now on; the store has it already."""
        with self._lock:
            self._current = dispatch.Dispatch(
                plan_id, plan, self._params.max_migrations
            )

    def step(self, fleet: columns.Fleet) -> None:
        """Start what may start now, and ask about what fell silent."""
        self._ask_about_silent()
        with self._lock:
            current = self._current
            if current is None:
                return
            rows = self.flights.rows(fleet)
            decided = current.next(
                fleet,
                self.flights.busy(),
                lambda now, move: revalidation.objection(
                    now, move, self._filters, rows
                ),
            )
            for one in decided:
                if isinstance(one, dispatch.Drop):
                    self._drop(current, one)
                else:
                    self._start(current, one)
            self._finish_if_done()

    def cancel(self, migration_id: str, reason: str) -> str:
        """Ask the executor to end a migration.

        :returns: the state it is in
        :raises NotFound: when it is not under way
        :raises BusError: when its executor does not answer
        """
        flight = self.flights.get(migration_id)
        if flight is None:
            raise errors.NotFound(
                f'migration {migration_id} is not under way; see '
                f'kvm-balancer migrations show {migration_id}'
            )
        return self._executors.cancel(
            flight.wanted.source, migration_id, reason
        )

    def note_progress(self, told: messages.Progress) -> None:
        """Note how far a migration is; its story keeps changes of state.

        :raises StoreError: when it could not be kept
        """
        if self.flights.heard(
            told.migration_id, told.at, told.state.value, told.statistics
        ):
            self._store.migrations.record_progress(
                told.migration_id, told.state.value, told.text, told.at
            )

    def note_outcome(self, ended: outcome.Outcome) -> None:
        """Keep how a migration ended, and let its plan go on.

        :raises StoreError: when it could not be kept: it has to be told
            again
        """
        self._store.migrations.record_outcome(ended)
        self._cooldowns.note(
            ended.instance, ended.source, ended.destination, ended.ended_at
        )
        flight = self.flights.land(ended.migration_id)
        LOG.info(
            'Migration %s of %s from %s to %s: %s, %s',
            ended.migration_id,
            ended.instance,
            ended.source,
            ended.destination,
            ended.outcome,
            ended.reason,
        )
        with self._lock:
            current = self._current
            if (
                flight is None
                or flight.position is None
                or current is None
                or current.plan_id != flight.wanted.plan_id
            ):
                return
            current.ended(
                flight.position,
                execution.MoveState(ended.outcome.value),
                ended.reason,
            )
            self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._current is None or not self._current.done:
            return
        self._store.plans.set_state(
            self._current.plan_id, execution.PlanState.FINISHED
        )
        LOG.info('Plan %s is finished', self._current.plan_id)
        self._current = None

    def _drop(self, current: dispatch.Dispatch, drop: dispatch.Drop) -> None:
        LOG.info(
            'Plan %s: the move of %s is dropped: %s',
            current.plan_id,
            drop.move.instance,
            drop.reason,
        )
        self._store.plans.set_move_state(
            current.plan_id,
            drop.index,
            execution.MoveState.DROPPED,
            drop.reason,
        )

    def _start(
        self, current: dispatch.Dispatch, start: dispatch.Start
    ) -> None:
        now = self._clock()
        move = start.move
        facts = self._facts_of(move.destination)
        wanted = request.Request(
            migration_id=str(uuid.uuid4()),
            instance=move.instance,
            source=move.source,
            destination=move.destination,
            destination_uri=facts.peer_uri if facts else '',
            migration_address=facts.migration_address if facts else '',
            accepted_at=now,
            expires_at=now + self._params.command_lifetime_seconds,
            options=self._params.options,
            predicted=move.prediction,
            plan_id=current.plan_id,
        )
        # Written down before it is sent: a command that nobody remembers
        # could move an instance behind our back.
        self._store.migrations.record_dispatch(wanted, now, start.index)
        flight = flights.Flight(wanted, start.index, heard_at=now)
        self.flights.add(flight)
        self._send(flight)

    def _send(self, flight: flights.Flight) -> None:
        """Send a command; one that is refused has ended."""
        wanted = flight.wanted
        try:
            state = self._executors.migrate(wanted)
        except errors.UnreachableError as error:
            LOG.warning(
                'Migration %s: the executor of %s did not answer, it is '
                'asked again: %s',
                wanted.migration_id,
                wanted.source,
                error,
            )
            flight.heard_at = self._clock()
        except errors.KVMBalancerError as error:
            self._end_unseen(wanted, outcome.OutcomeKind.FAILED, str(error))
        else:
            self.flights.heard(wanted.migration_id, self._clock(), state)

    def _end_unseen(
        self,
        wanted: request.Request,
        kind: outcome.OutcomeKind,
        reason: str,
    ) -> None:
        """Record a migration whose outcome no executor will ever tell."""
        now = self._clock()
        self.note_outcome(
            outcome.Outcome(
                migration_id=wanted.migration_id,
                instance=wanted.instance,
                source=wanted.source,
                destination=wanted.destination,
                outcome=kind,
                mode=plans.Mode.PRE_COPY,
                reason=reason,
                accepted_at=wanted.accepted_at,
                ended_at=now,
                total_ms=(now - wanted.accepted_at) * 1000.0,
                downtime_ms=None,
                transferred_mib=0.0,
                iterations=0,
                max_throttle_percent=0,
                predicted=wanted.predicted,
                story=(outcome.StoryLine(now, kind.value, reason),),
                plan_id=wanted.plan_id,
            )
        )

    def _ask_about_silent(self) -> None:
        now = self._clock()
        for flight in self.flights.silent(
            now - self._params.command_retry_seconds
        ):
            expired = now > flight.wanted.expires_at
            if flight.confirmed or expired:
                self._ask(flight)
            else:
                self._send(flight)

    def _ask(self, flight: flights.Flight) -> None:
        """Ask an executor what became of a migration."""
        wanted = flight.wanted
        try:
            state = self._executors.state(wanted.source, wanted.migration_id)
        except errors.NotFound as error:
            if flight.confirmed:
                self._end_unseen(
                    wanted,
                    outcome.OutcomeKind.UNKNOWN,
                    f'its executor has forgotten it: {error}; look for the '
                    'instance on both hosts',
                )
            else:
                self._end_unseen(
                    wanted,
                    outcome.OutcomeKind.FAILED,
                    f'it was never begun: {error}',
                )
        except errors.KVMBalancerError as error:
            LOG.warning(
                'Migration %s: nothing is known of it: %s',
                wanted.migration_id,
                error,
            )
            flight.heard_at = self._clock()
        else:
            self.flights.heard(wanted.migration_id, self._clock(), state)
