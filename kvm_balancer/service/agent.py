"""The agent's loop: look at the fleet, decide, carry out.

One thread of decisions. Everything that it needs is handed in; what reaches
it from the bus is noted elsewhere and wakes it where a free slot may be the
consequence.
"""

import collections.abc
import dataclasses
import logging
import time
import uuid

import numpy as np

from kvm_balancer import errors
from kvm_balancer.model import execution
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans
from kvm_balancer.policies import base as policy_base
from kvm_balancer.policies import composition
from kvm_balancer.policies import decision
from kvm_balancer.service import background
from kvm_balancer.service import dispatcher
from kvm_balancer.service import drains
from kvm_balancer.service import experience
from kvm_balancer.service import history
from kvm_balancer.service import watch
from kvm_balancer.store import store as stores

LOG = logging.getLogger(__name__)

_DAY_SECONDS = 86_400.0


@dataclasses.dataclass(frozen=True, slots=True)
class Draining:
    """What is drained by order, and the policy that does it."""

    drains: drains.Drains
    policy: policy_base.Policy


class Agent:
    """Decides every *interval_seconds*, or sooner, until it is stopped.

    :param mode: whether plans are carried out
    :param keep_days: for how long plans and outcomes are kept
    :param drains: None where nothing can be drained by order
    """

    def __init__(
        self,
        fleet: watch.FleetWatch,
        decider: decision.Decider,
        carrier: dispatcher.Dispatcher,
        store: stores.Store,
        mode: execution.PlanMode,
        interval_seconds: float,
        keep_days: int,
        clock: collections.abc.Callable[[], float] = time.time,
        drains: Draining | None = None,
    ) -> None:
        self._drains = drains
        self.fleet = fleet
        self.decider = decider
        self.dispatcher = carrier
        self.mode = mode
        self._store = store
        self._interval_seconds = interval_seconds
        self._keep_seconds = keep_days * _DAY_SECONDS
        self._clock = clock
        self._experience = experience.Experience(store.migrations)
        self.history = history.History(fleet, store.memories)
        self._advised: tuple[tuple[str, str], ...] = ()
        self._trouble = ''
        self._purged_at = 0.0
        self._background = background.Background('decisions', self._run)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._background.start()

    def stop(self) -> None:
        """End after the decision that is being made."""
        self._background.end()
        self.dispatcher.stop()
        self._background.join()

    def wake(self) -> None:
        """Say that a slot may be free."""
        self._background.wake()

    def surroundings(self, fleet: columns.Fleet) -> decision.Surroundings:
        """Return what a plan has to leave alone now."""
        now = self._clock()
        return self.dispatcher.memory.surroundings(
            fleet,
            now,
            in_flight=self.dispatcher.flights.rows(fleet),
            corrections=self._experience.corrections(now),
            closed_zones=self.dispatcher.restraint.closed_zones(fleet, now),
            allowance=self.dispatcher.restraint.allowance(fleet, now),
        )

    def _run(self) -> None:
        due = 0.0
        while not self._background.ending:
            now = time.monotonic()
            decide = now >= due
            self._turn(decide)
            if decide:
                due = now + self.decider.next_look(self._interval_seconds)
            # What was dispatched is watched more often than is decided.
            self._background.pause(
                min(max(due - time.monotonic(), 0.0), dispatcher.STEP_SECONDS)
            )

    def _turn(self, decide: bool) -> None:
        """Do what is due; say once when that begins or ceases to fail."""
        trouble = ''
        try:
            self.step(decide)
        except errors.KVMBalancerError as error:
            trouble = str(error)
        except Exception as error:
            # An agent whose loop has ended looks alive and does nothing.
            trouble = f'{type(error).__name__}: {error}'
            if trouble != self._trouble:
                LOG.exception('A decision failed')
        if trouble and trouble != self._trouble:
            LOG.error('Nothing is decided: %s', trouble)
        elif self._trouble and not trouble:
            LOG.info('Decisions are made again')
        self._trouble = trouble

    def step(self, decide: bool = True) -> plans.Plan | None:
        """Carry on what is being carried out, and decide if it is time.

        :returns: the plan that was made, if any
        """
        if not decide and self.dispatcher.idle:
            # A snapshot of a large fleet is not made for nothing.
            self.dispatcher.commands.ask_about_silent()
            return None
        fleet = self.fleet.snapshot()
        self.dispatcher.step(fleet)
        if not decide:
            return None
        self._keep_house()
        self.dispatcher.memory.look(fleet, self._clock())
        self._remember(fleet)
        self.history.step(self._clock())
        if not self.dispatcher.idle or self.dispatcher.flights.unsettled(
            fleet
        ):
            # A plan of a fleet that does not show yet what was just moved
            # would count it where it was.
            return None
        ordered = self._drain(fleet)
        if ordered is not None:
            self.dispatcher.step(fleet)
            return ordered
        plan = self.decider.decide(
            fleet, self.surroundings(fleet), self._clock()
        )
        if plan is None:
            self._advised = ()
            return None
        self._adopt(plan, fleet, self.mode)
        self.dispatcher.step(fleet)
        self._remember(fleet)
        return plan

    def _remember(self, fleet: columns.Fleet) -> None:
        """Write down what was learned, and what is promised by now."""
        credits = self.decider.credits
        credits.follow(fleet, self.dispatcher.flights.rows(fleet))
        self.dispatcher.memory.save(credits, self._clock())

    def _drain(self, fleet: columns.Fleet) -> plans.Plan | None:
        """Go on with what is drained by order, in whatever mode.

        Cooldowns are for calm, and an order is not: only what failed too
        often, and where it failed, is left out.
        """
        if self._drains is None or not self._drains.drains.hosts:
            return None
        ordered = self._drains.drains
        around = dataclasses.replace(
            self.surroundings(fleet),
            cooling_instances=ordered.exhausted(fleet),
            cooling_hosts=np.zeros(len(fleet.hosts), np.bool_),
            filters=(ordered.filter(),),
        )
        plan = composition.propose(
            [self._drains.policy],
            ordered.only(fleet),
            self.decider.context(around),
        )
        ordered.note_plan(plan)
        if not plan.moves:
            return None
        self._carry_out(plan, execution.PlanMode.AUTOMATIC)
        return plan

    def _adopt(
        self, plan: plans.Plan, fleet: columns.Fleet, mode: execution.PlanMode
    ) -> None:
        """Keep what was decided, and carry it out where that is wanted."""
        if self._carry_out(plan, mode) and (
            mode is execution.PlanMode.AUTOMATIC
        ):
            self.decider.promise(plan, fleet, self._clock())

    def _carry_out(self, plan: plans.Plan, mode: execution.PlanMode) -> bool:
        """Keep a plan, and carry it out in that mode.

        :returns: False where it is the same advice again
        """
        moves = tuple((move.instance, move.destination) for move in plan.moves)
        if mode is execution.PlanMode.ADVISE and moves == self._advised:
            # The same advice again is no news.
            return False
        self._advised = moves
        plan_id = str(uuid.uuid4())
        self._store.plans.save(plan_id, self._clock(), mode, plan)
        LOG.info(
            'Plan %s (%s, %s): %d moves; %s',
            plan_id,
            plan.policy,
            mode,
            len(plan.moves),
            plan.summary,
        )
        for number, move in enumerate(plan.moves):
            LOG.info(
                'Plan %s, move %d: %s from %s to %s: %s',
                plan_id,
                number,
                move.instance,
                move.source,
                move.destination,
                move.reason,
            )
        if mode is execution.PlanMode.AUTOMATIC:
            self.dispatcher.begin(plan_id, plan)
        return True

    def _keep_house(self) -> None:
        now = self._clock()
        if now - self._purged_at < _DAY_SECONDS:
            return
        self._purged_at = now
        purged = self._store.purge(now - self._keep_seconds)
        if purged:
            LOG.info('%d old plans and migrations were forgotten', purged)
