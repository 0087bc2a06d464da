"""A plan made of what a search found: order, predictions, reasons, bounds."""

import collections.abc
import dataclasses

import numpy as np

from kvm_balancer.model import placement
from kvm_balancer.model import plan
from kvm_balancer.planner import bounds
from kvm_balancer.planner import cost
from kvm_balancer.planner import easing
from kvm_balancer.planner import makespan
from kvm_balancer.planner import order
from kvm_balancer.planner import purposes
from kvm_balancer.planner import reasons
from kvm_balancer.planner import score
from kvm_balancer.planner import workspace


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """What a policy has to say about its search.

    :ivar summary: one line: what was reached, or why nothing was done
    :ivar moves_bound: no plan reaches the objective with fewer moves; None
        where that is not proven
    """

    summary: str
    moves_bound: int | None = None
    still_hot: tuple[plan.StillHot, ...] = ()
    unplaced: tuple[plan.Unplaced, ...] = ()

    def of(self, place: str) -> 'Findings':
        """Return the same, as found at *place*; empty for everywhere."""
        if not place or not self.summary:
            return self
        return dataclasses.replace(self, summary=f'{place}: {self.summary}')


@dataclasses.dataclass(frozen=True, slots=True)
class _Told:
    """What there is to say of a step.

    :ivar wished: no wish spoke against it
    """

    reason: str
    wished: bool


class _Extremes:
    """Loads that the steps may meet, in whatever order they are made."""

    def __init__(
        self, start: placement.Placement, work: workspace.Workspace
    ) -> None:
        self._steps = work.steps
        self._eased = easing.Extremes(start, work)
        unit = [step.unit for step in work.steps]
        source = [step.source for step in work.steps]
        destination = [step.destination for step in work.steps]
        usage = work.units.cpu_usage[unit]
        cpus = work.fleet.hosts.cpus
        highest, lowest = start.cores.copy(), start.cores.copy()
        np.add.at(highest, destination, usage)
        np.subtract.at(lowest, source, usage)
        #: of the source, when all that is to leave it has, but the step
        self._least = (lowest[source] + usage) / cpus[source]
        #: of the destination, when all that is to come is there
        self._most = highest[destination] / cpus[destination]

    def load_gaps(self) -> list[float]:
        """Return how far each destination may top its source.

        That is so when all that is to come to the destination is there and
        nothing has left it, while all that is to leave the source has left
        it but what the step takes, and nothing has come to it.
        """
        return [float(gap) for gap in self._most - self._least]

    def causes(self) -> list[plan.Cause | None]:
        """Return what each step is made for.

        One whose source need not be over the load when its turn comes makes
        room for another.
        """
        found: list[plan.Cause | None] = []
        for step, least in zip(self._steps, self._least, strict=True):
            cause = step.cause
            if (
                cause is not None
                and cause.kind is plan.CauseKind.SOURCE_LOAD
                and self._eased.least(step, float(least)) <= cause.load
            ):
                kind = plan.CauseKind.ZONE_LOAD
                cause = dataclasses.replace(cause, kind=kind)
            found.append(cause)
        return found


def assemble(
    policy: str,
    work: workspace.Workspace,
    findings: collections.abc.Sequence[Findings],
    aims: collections.abc.Sequence[purposes.Aim] = (),
) -> plan.Plan:
    """Make the plan of what was found on *work*.

    :param findings: of the policies that searched, in their order
    :param aims: of the same policies
    """
    fleet = work.fleet
    start = placement.Placement(fleet, work.context.in_flight)
    before = score.summary(start)
    ordered = order.arrange(start, work)
    predictions = cost.predict(
        fleet,
        [one.instance for one in ordered],
        [one.source for one in ordered],
        [one.destination for one in ordered],
        work.terms,
        work.context.corrections,
        [work.steps[one.step].profile for one in ordered],
    )
    transfers = [
        makespan.Transfer(
            one.source,
            one.destination,
            expected.total_seconds,
            expected.total_mib,
            one.after,
        )
        for one, expected in zip(ordered, predictions, strict=True)
    ]
    free = fleet.instances.movable & ~start.in_flight
    proven = [one.moves_bound for one in findings]
    bound = plan.Bound(
        cpu_max=bounds.peak(start, free),
        cpu_stddev=bounds.spread(start, free),
        moves=proven[0] if len(proven) == 1 else None,
        makespan_seconds=makespan.bound(fleet.hosts, transfers),
    )
    extremes = _Extremes(start, work)
    progress = purposes.Progress(aims, work, start)
    told, points = _replay(start, work, ordered, predictions, progress)
    return plan.Plan(
        policy=policy,
        moves=_moves(work, ordered, predictions, told, extremes),
        before=before,
        after=score.summary(work.state),
        bound=bound,
        makespan_seconds=makespan.seconds(fleet.hosts, transfers),
        purposes=progress.purposes,
        frontier=points,
        unplaced=tuple(lost for one in findings for lost in one.unplaced),
        still_hot=tuple(hot for one in findings for hot in one.still_hot),
        summary='; '.join(one.summary for one in findings if one.summary),
        warnings=(
            *work.problems.values(),
            *work.admission.problems.values(),
            *filter(None, (reasons.withheld(fleet),)),
        ),
        cut_short=work.out_of_time or work.limited,
    )


def _moves(
    work: workspace.Workspace,
    ordered: collections.abc.Sequence[order.Ordered],
    predictions: collections.abc.Sequence[plan.Prediction],
    told: collections.abc.Sequence[_Told],
    extremes: _Extremes,
) -> tuple[plan.Move, ...]:
    hosts, instances = work.fleet.hosts.name, work.fleet.instances.id
    gaps, causes = extremes.load_gaps(), extremes.causes()
    return tuple(
        plan.Move(
            instance=instances[one.instance],
            source=hosts[one.source],
            destination=hosts[one.destination],
            prediction=expected,
            reason=told[one.step].reason,
            after=one.after,
            profile=work.steps[one.step].profile,
            load_gap=gaps[one.step],
            cause=causes[one.step],
            wished=told[one.step].wished,
        )
        for one, expected in zip(ordered, predictions, strict=True)
    )


def _replay(
    state: placement.Placement,
    work: workspace.Workspace,
    ordered: collections.abc.Sequence[order.Ordered],
    predictions: collections.abc.Sequence[plan.Prediction],
    progress: purposes.Progress,
) -> tuple[list[_Told], tuple[plan.FrontierPoint, ...]]:
    """Go through the steps once more: reasons, and what prefixes are worth.

    *state* is the start, and ends where the plan does.

    :param progress: follows *state* from there
    """
    hosts = work.fleet.hosts
    running = score.RunningSpread(state)
    eased = easing.Running(state, work)
    mib = np.bincount(
        [one.step for one in ordered],
        weights=[expected.total_mib for expected in predictions],
        minlength=len(work.steps),
    )
    told: list[_Told] = []
    worth: list[tuple[int, float, float]] = []
    moves, carried = 0, 0.0
    for step, cost_mib in zip(work.steps, mib.tolist(), strict=True):
        members = work.units.of(step.unit)
        ends = (step.source, step.destination)
        before = _loads(state, ends)
        wished = work.admission.wished(state, members, step.destination)
        state.move(members, step.destination)
        after = _loads(state, ends)
        for end in ends:
            running.update(state, end)
        progress.take(step)
        moves += len(members)
        carried += cost_mib
        text = reasons.move(
            step, hosts, before, after, len(members), eased.take(step)
        )
        told.append(_Told(text, wished))
        worth.append((moves, running.stddev, carried))
    return told, tuple(
        plan.FrontierPoint(*one, left)
        for one, left in zip(worth, progress.left(), strict=True)
    )


def _loads(
    state: placement.Placement, hosts: collections.abc.Iterable[int]
) -> dict[int, float]:
    """Return the CPU load of *hosts*: what sums of floats leave is none."""
    cpus = state.fleet.hosts.cpus
    return {
        one: max(0.0, float(state.cores[one] / cpus[one])) for one in hosts
    }
