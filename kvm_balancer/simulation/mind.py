"""The agent of a simulated fleet: it decides, and carries plans out.

What it decides and by which rules is the real agent's: the same policies
and planner, hold times, cooldowns, windows and budgets, the same order and
slots, the same look at every move when its turn comes. What the agent does
with threads and messages is left out.
"""

import dataclasses
import itertools

from kvm_balancer.migration.foresight import correction
from kvm_balancer.migration.foresight import prediction
from kvm_balancer.model import execution
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import observation
from kvm_balancer.model import placement
from kvm_balancer.planner import budget
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import cooldown
from kvm_balancer.planner import dispatch
from kvm_balancer.planner import revalidation
from kvm_balancer.planner import schedule
from kvm_balancer.policies import assignment
from kvm_balancer.policies import decision
from kvm_balancer.policies import memory
from kvm_balancer.simulation import air as airs
from kvm_balancer.simulation import record as records

#: What a search does for each instance between two looks at its clock: 50 ms
#: of 200,000.
_READING_SECONDS = 2.5e-7


@dataclasses.dataclass(frozen=True, slots=True)
class Agent:
    """How the agent is set up.

    :ivar watches: policies and their hold times; none does nothing
    :ivar assigned: which policies run where
    :ivar template: filters, weighers and limits of every plan
    """

    watches: tuple[decision.Watch, ...]
    template: contexts.Context
    assigned: assignment.Assignment | None = None
    ingest: observation.Params = dataclasses.field(
        default_factory=observation.Params
    )
    cooldowns: cooldown.Params = dataclasses.field(
        default_factory=cooldown.Params
    )
    budgets: budget.Params = dataclasses.field(default_factory=budget.Params)
    schedules: schedule.Schedules = dataclasses.field(
        default_factory=schedule.Schedules
    )
    interval_seconds: float = 30.0
    max_migrations: int = 8


def _ticking(instances: int) -> decision.Stopwatch:
    """Make a clock for searches: each look at it takes a while.

    A search is cut short as a real one is, and at the same place each time.

    :param instances: of the fleet that is searched
    """
    readings, seconds = itertools.count(), _READING_SECONDS * instances
    return lambda: next(readings) * seconds


class Mind:
    """Decides every so often, and has one plan carried out at a time.

    :param instances: how many there are, about
    :param start: seconds since the epoch at the beginning, for windows
    """

    def __init__(
        self,
        agent: Agent,
        air: airs.Air,
        record: records.Recorder,
        instances: int,
        start: float = 0.0,
    ) -> None:
        self._agent = agent
        self._start = start
        self._air = air
        self._record = record
        self._decider = decision.Decider(
            agent.watches,
            agent.template,
            agent.assigned,
            _ticking(instances),
            agent.schedules,
        )
        self._memory = memory.Memory(cooldown.Cooldowns(agent.cooldowns))
        self._ledger = budget.Ledger(agent.budgets)
        self._corrections = correction.Corrections()
        self._current: dispatch.Dispatch | None = None
        self._due = 0.0
        self._plans = 0

    def step(self, fleet: columns.Fleet, now: float) -> bool:
        """Carry on, and decide if it is time.

        :param now: seconds since the beginning
        :returns: whether migrations were begun
        """
        begun = self.carry_on(fleet, now)
        if now < self._due:
            return begun
        self._due = now + self._agent.interval_seconds
        for notice in self._memory.look(fleet, now):
            self._record.notice(notice, now)
        if self._current is not None:
            return begun
        plan = self._decider.decide(fleet, self._around(fleet, now), now)
        self._due = now + self._decider.next_look(self._agent.interval_seconds)
        while self._decider.credits.verdicts:
            self._record.verdict(self._decider.credits.verdicts.popleft())
        if plan is None:
            return begun
        self._plans += 1
        self._record.plan(plan, now)
        self._decider.promise(plan, fleet, now)
        self._current = dispatch.Dispatch(
            str(self._plans), plan, self._agent.max_migrations
        )
        return self.carry_on(fleet, now) or begun

    def carry_on(self, fleet: columns.Fleet, now: float) -> bool:
        """Begin what may begin now; say whether anything did.

        :param fleet: as it is now
        """
        current = self._current
        if current is None:
            return False
        begun = False
        review = revalidation.Review(
            fleet,
            self._agent.template.filters,
            self._in_flight(fleet),
            lambda moves, promised: (
                self._agent.schedules.objection(
                    fleet, moves, self._start + now
                )
                or self._ledger.objection(moves, now, promised)
            ),
        )
        for one in current.next(fleet, self._air.busy(), review):
            if isinstance(one, dispatch.Drop):
                self._record.dropped += 1
                continue
            move = one.move
            self._air.begin(one.index, move, now)
            self._memory.begun(fleet, move)
            self._ledger.note(
                move.source, move.destination, move.prediction.total_mib, now
            )
            begun = True
        if current.done:
            self._current = None
        return begun

    def landed(self, landing: airs.Landing) -> None:
        """Take in how a migration ended."""
        flight, move = landing.flight, landing.flight.move
        told = self._memory.ended(
            move.instance,
            move.source,
            move.destination,
            landing.kind,
            landing.at,
        )
        if told:
            self._record.notice(told, landing.at)
        if landing.completed:
            self._learn(landing)
        self._record.landing(landing)
        if self._current is not None:
            self._current.ended(
                flight.position,
                execution.MoveState(landing.kind.value),
                landing.reason,
            )

    def _around(
        self, fleet: columns.Fleet, now: float
    ) -> decision.Surroundings:
        moment = self._start + now
        return self._memory.surroundings(
            fleet,
            now,
            in_flight=self._in_flight(fleet),
            corrections=self._corrections,
            closed_zones=self._agent.schedules.all_closed(fleet.zones, moment),
            allowance=self._ledger.allowance(fleet, now),
        )

    def _in_flight(
        self, fleet: columns.Fleet
    ) -> tuple[placement.InFlight, ...]:
        found = (
            (fleet.instance_row.get(one.move.instance), one.destination)
            for one in self._air.flights
        )
        return tuple(
            placement.InFlight(row, destination)
            for row, destination in found
            if row is not None
        )

    def _learn(self, landing: airs.Landing) -> None:
        move, taken = landing.flight.move, landing.taken
        self._corrections.learn(
            correction.Lesson(
                move.instance,
                (move.source, move.destination),
                taken.mode,
                landing.flight.began,
                landing.at,
                move.prediction,
                taken.mib,
                max(0.0, taken.seconds - prediction.FIXED_SECONDS),
                prediction.FIXED_SECONDS,
                taken.downtime_ms,
                landing.flight.alone,
            )
        )
