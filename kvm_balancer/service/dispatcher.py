"""Plans on their way: moves become migrations, their ends reach the store.

Which move may start is decided by :mod:`kvm_balancer.planner.dispatch`; this
module carries it out. How a command reaches its executor, and what is done
when it may not have, is :mod:`.commands`'.

No lock is held while an executor is asked or the store written to.
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
from kvm_balancer.migration.options import scopes
from kvm_balancer.model import execution
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import outcome
from kvm_balancer.model import plan as plans
from kvm_balancer.model import sample
from kvm_balancer.planner import cooldown
from kvm_balancer.planner import dispatch
from kvm_balancer.planner import revalidation
from kvm_balancer.policies import memory
from kvm_balancer.service import commands
from kvm_balancer.service import flights
from kvm_balancer.service import recovery
from kvm_balancer.service import remembering
from kvm_balancer.service import restraint as restraints
from kvm_balancer.store import store as stores

LOG = logging.getLogger(__name__)

#: How often what is under way is looked after.
STEP_SECONDS = 1.0

#: What leaves its hosts other than they were.
_CHANGES = (outcome.OutcomeKind.COMPLETED, outcome.OutcomeKind.UNKNOWN)

#: Says what a host last told of itself; None where it is not known.
FactsOf = collections.abc.Callable[[str], sample.HostFacts | None]

#: Says who is to carry out a migration of an instance.
OwnerOf = collections.abc.Callable[[str], str]


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """Limits of what is carried out.

    :ivar migration: limits and means of migrations, by place
    :ivar max_migrations: most migrations under way in the fleet
    :ivar max_by_owner: likewise, of those of one owner, where that is less
    :ivar patience: with executors that do not answer
    """

    migration: scopes.Scopes
    max_migrations: int = 8
    max_by_owner: collections.abc.Mapping[str, int] = dataclasses.field(
        default_factory=dict
    )
    patience: commands.Params = dataclasses.field(
        default_factory=commands.Params
    )


class Dispatcher:
    """Carries out one plan at a time, and watches all migrations.

    :param filters: held against every move again when its turn comes
    :param restraint: likewise
    :param on_announcement: called when there is an outcome to be told
    """

    def __init__(
        self,
        store: stores.Store,
        executors: commands.Executors,
        cooldowns: cooldown.Cooldowns,
        filters: tuple[filter_base.Filter, ...],
        facts_of: FactsOf,
        params: Params,
        clock: collections.abc.Callable[[], float] = time.time,
        restraint: restraints.Restraint | None = None,
        owner_of: OwnerOf = lambda instance: 'balancer',
        on_announcement: collections.abc.Callable[[], None] = lambda: None,
    ) -> None:
        self.memory = remembering.SharedMemory(
            memory.Memory(cooldowns), store.memories
        )
        self._owner_of = owner_of
        self._on_announcement = on_announcement
        self.restraint = restraint or restraints.Restraint()
        self._store = store
        self._cooldowns = cooldowns
        self._filters = filters
        self._facts_of = facts_of
        self._params = params
        self._clock = clock
        #: guards the plan that is being carried out, and nothing else
        self._lock = threading.Lock()
        self._current: dispatch.Dispatch | None = None
        self.flights = flights.Flights()
        self.commands = commands.Commands(
            executors,
            self.flights,
            self.note_outcome,
            self._note_state,
            params.patience,
            clock,
        )

    @property
    def idle(self) -> bool:
        """True when no plan is being carried out."""
        return self._current is None

    def expected(self) -> list[plans.Move]:
        """Return the moves of the plan that are still to come or to end."""
        with self._lock:
            current = self._current
            return [] if current is None else current.open_moves()

    def stop(self) -> None:
        """Begin nothing more."""
        self.commands.stop()

    def recover(self) -> None:
        """Take up what an earlier run of the agent has left.

        :raises StoreError: when that cannot be found out
        """
        recovery.take_up(
            self._store,
            self.flights,
            self._cooldowns,
            self.restraint,
            self.memory,
            self._clock(),
        )

    def begin(self, plan_id: str, plan: plans.Plan) -> None:
        """Carry *plan* out from now on; the store has it already."""
        with self._lock:
            self._current = dispatch.Dispatch(
                plan_id, plan, self._params.max_migrations
            )

    def step(self, fleet: columns.Fleet) -> None:
        """Start what may start now, and ask about what fell silent.

        One thread calls it.

        :raises StoreError: when what is to be done could not be written
            down; it is not done then, and is up again at the next step
        """
        self.commands.ask_about_silent()
        current = self._current
        if current is None:
            return
        with self._lock:
            self._pass_over_lost(current)
            decided = self._decided(current, fleet)
        begun = 0
        try:
            for one in decided:
                if self.commands.stopping:
                    break
                flight = self._write_down(current, one)
                begun += 1
                if flight is not None:
                    self.memory.begun(fleet, one.move)
                    self.commands.send(flight)
        finally:
            with self._lock:
                for one in decided[begun:]:
                    current.put_back(one.index)
        self._finish_if_done(current)

    def note_progress(self, told: messages.Progress) -> None:
        """Note how far a migration is.

        Its story keeps changes of state, and what was decided.

        :raises StoreError: when it could not be kept
        """
        # Its executor's clock may be any.
        decided = self.flights.heard(
            told.migration_id,
            self._clock(),
            told.state.value,
            told,
        )
        if decided is not None:
            self._store.migrations.record_progress(
                told.migration_id,
                told.state.value,
                told.text,
                told.at,
                decided,
            )

    def _note_state(self, migration_id: str, state: str) -> None:
        """Keep where one stands of which nobody knew."""
        self._store.migrations.record_state(migration_id, state, self._clock())

    def note_outcome(
        self, ended: outcome.Outcome, announce: bool = False
    ) -> None:
        """Keep how a migration ended, and let its plan go on.

        :param announce: no executor tells it on the bus
        :raises StoreError: when it could not be kept: it has to be told
            again
        """
        if not len(ended.track):
            # An executor that took it up again has not seen what we have.
            ended = dataclasses.replace(
                ended, track=self.flights.track(ended.migration_id)
            )
        self._store.migrations.record_outcome(ended, announce)
        if announce:
            self._on_announcement()
        now = self._clock()
        self.memory.ended(ended, now)
        if ended.outcome in _CHANGES:
            # Before its slots are free: who finds them free sees this, too.
            self.flights.changed(ended.source, ended.destination, now)
        flight = self._off_the_air(ended)
        if flight is None and ended.plan_id:
            self._look_for_others(ended.plan_id, now)
        unknown = ended.outcome is outcome.OutcomeKind.UNKNOWN
        LOG.log(
            logging.ERROR if unknown else logging.INFO,
            'Migration %s of %s from %s to %s: %s, %s',
            ended.migration_id,
            ended.instance,
            ended.source,
            ended.destination,
            ended.outcome,
            ended.reason,
        )
        if flight is not None:
            self._note_end_of_move(flight, ended)

    def _off_the_air(self, ended: outcome.Outcome) -> flights.Flight | None:
        """Take a migration out of the air, unless it is unknown.

        :returns: it, where its plan has waited for it until now
        """
        if ended.outcome is outcome.OutcomeKind.UNKNOWN:
            return self.flights.doubt(ended.migration_id)
        flight = self.flights.land(ended.migration_id)
        return None if flight is None or flight.unknown else flight

    def _look_for_others(self, plan_id: str, now: float) -> None:
        """See whether a plan is another agent's."""
        try:
            self._store.plans.get(plan_id)
        except errors.NotFound:
            self.memory.other_plan(plan_id, now)

    def _note_end_of_move(
        self, flight: flights.Flight, ended: outcome.Outcome
    ) -> None:
        with self._lock:
            current = self._current
            if (
                flight.position is None
                or current is None
                or current.plan_id != flight.wanted.plan_id
            ):
                return
            current.ended(
                flight.position,
                execution.MoveState(ended.outcome.value),
                ended.reason,
            )
        self._finish_if_done(current)

    def _finish_if_done(self, current: dispatch.Dispatch) -> None:
        with self._lock:
            if current is not self._current or not current.done:
                return
        # Should it raise, the plan is still the current one at the next step.
        self._store.plans.set_state(
            current.plan_id, execution.PlanState.FINISHED
        )
        with self._lock:
            if current is not self._current:
                return
            self._current = None
        LOG.info('Plan %s is finished', current.plan_id)

    def _pass_over_lost(self, current: dispatch.Dispatch) -> None:
        """Let a plan go on without the migrations that nobody tells of.

        They stay in the air, and their moves dispatched, until their
        executors are back: but the fleet does not wait for them.
        """
        since = self._clock() - self._params.patience.lost_seconds
        for flight in self.flights.all():
            if (
                flight.position is None
                or flight.unknown
                or flight.wanted.plan_id != current.plan_id
                or flight.heard_at >= since
            ):
                continue
            reason = f'the executor of {flight.wanted.source} is silent'
            LOG.warning(
                'Plan %s goes on without migration %s: %s',
                current.plan_id,
                flight.wanted.migration_id,
                reason,
            )
            current.ended(flight.position, execution.MoveState.UNKNOWN, reason)
            flight.position = None

    def _decided(
        self, current: dispatch.Dispatch, fleet: columns.Fleet
    ) -> tuple[dispatch.Start | dispatch.Drop, ...]:
        now = self._clock()
        review = revalidation.Review(
            fleet,
            self._filters,
            self.flights.rows(fleet),
            lambda moves, promised: self.restraint.objection(
                fleet, moves, now, promised
            ),
        )
        decided = current.next(
            fleet,
            self.flights.busy(fleet),
            review,
            self.flights.unsettled(fleet),
        )
        return tuple(self._granted(current, decided))

    def _granted(
        self,
        current: dispatch.Dispatch,
        decided: collections.abc.Iterable[dispatch.Start | dispatch.Drop],
    ) -> collections.abc.Iterator[dispatch.Start | dispatch.Drop]:
        """Let moves wait that who carries them out would refuse for now."""
        busy = self.flights.by_owner()
        for one in decided:
            if isinstance(one, dispatch.Start):
                owner = self._owner_of(one.move.instance)
                most = self._params.max_by_owner.get(owner)
                if most is not None and busy[owner] >= most:
                    current.put_back(one.index)
                    continue
                busy[owner] += 1
            yield one

    def _write_down(
        self,
        current: dispatch.Dispatch,
        decided: dispatch.Start | dispatch.Drop,
    ) -> flights.Flight | None:
        """Write down what is decided of a move before it is done.

        :returns: what is to be sent; None for a move that is dropped
        """
        if isinstance(decided, dispatch.Drop):
            LOG.info(
                'Plan %s: the move of %s is dropped: %s',
                current.plan_id,
                decided.move.instance,
                decided.reason,
            )
            self._store.plans.set_move_state(
                current.plan_id,
                decided.index,
                execution.MoveState.DROPPED,
                decided.reason,
            )
            return None
        now = self._clock()
        wanted = self._request(current.plan_id, decided.move, now)
        # A command that nobody remembers could move an instance behind our
        # back.
        self._store.migrations.record_dispatch(wanted, now, decided.index)
        flight = flights.Flight(wanted, decided.index, heard_at=now)
        self.flights.add(flight)
        self.restraint.note(
            wanted.source,
            wanted.destination,
            decided.move.prediction.total_mib,
            now,
        )
        return flight

    def _request(
        self, plan_id: str, move: plans.Move, now: float
    ) -> request.Request:
        # A host forgotten this moment has no facts; where they are needed,
        # its source's driver refuses the request.
        facts = self._facts_of(move.destination)
        settled = self._params.migration.between(
            _place(move.source, self._facts_of(move.source)),
            _place(move.destination, facts),
        )
        options = settled.options
        if move.profile is plans.Profile.DRAIN:
            options = dataclasses.replace(options, profile=move.profile)
        return request.Request(
            migration_id=str(uuid.uuid4()),
            instance=move.instance,
            source=move.source,
            destination=move.destination,
            destination_uri=facts.peer_uri if facts else '',
            migration_address=facts.migration_address if facts else '',
            accepted_at=now,
            expires_at=now + self._params.patience.lifetime_seconds,
            options=options,
            predicted=move.prediction,
            plan_id=plan_id,
            notes=settled.changes,
            owner=self._owner_of(move.instance),
        )


def _place(host: str, facts: sample.HostFacts | None) -> scopes.Place:
    if facts is None:
        return scopes.Place(host)
    return scopes.Place(host, facts.zone, facts.aggregates)
