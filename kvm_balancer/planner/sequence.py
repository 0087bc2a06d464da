"""Which move first: of a set of moves, the most useful that is possible now.

A plan that is stopped half-way has then done most of its good.
"""

import collections.abc
import dataclasses
import heapq

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import reasons
from kvm_balancer.planner import workspace


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """Where a unit is to go."""

    unit: int
    destination: int


def ways(work: workspace.Workspace, first: int) -> list[Way]:
    """Return the steps of *work* from the *first* on, in their order."""
    return [Way(step.unit, step.destination) for step in work.steps[first:]]


class _Usefulness:
    """What a move does for the sum of squared loads, as things stand."""

    def __init__(self, work: workspace.Workspace) -> None:
        self._work = work
        self._cpus = work.fleet.hosts.cpus
        counted = work.counted
        load = work.state.cpu_load
        self._mean = float(load[counted].mean()) if counted.any() else 0.0
        self._weight: columns.Floats = counted.astype(np.float64)

    def __call__(self, way: Way) -> float:
        work = self._work
        usage = float(work.units.cpu_usage[way.unit])
        gain = 0.0
        for host, cores in (
            (work.home(way.unit), -usage),
            (way.destination, usage),
        ):
            away = work.state.cores[host] / self._cpus[host] - self._mean
            share = cores / self._cpus[host]
            gain -= self._weight[host] * share * (2.0 * away + share)
        return float(gain)


def carry_out(
    work: workspace.Workspace, ways: collections.abc.Sequence[Way]
) -> bool:
    """Move units the given ways, the most useful first.

    What is useful becomes less so while others go before, so the heap holds
    upper bounds, and the top is looked at again before it is taken. A way
    that is not open yet waits until something leaves its destination.

    :returns: whether all of *ways* were open in the end
    """
    useful = _Usefulness(work)
    heap = [(-useful(way), index) for index, way in enumerate(ways)]
    heapq.heapify(heap)
    waiting: dict[int, list[int]] = {}
    while heap:
        promised, index = heapq.heappop(heap)
        way = ways[index]
        gain = useful(way)
        if heap and -gain > heap[0][0] and -gain > promised + 1e-12:
            heapq.heappush(heap, (-gain, index))
            continue
        why = reasons.standing_if_open(work, way.unit, way.destination)
        if why is None:
            waiting.setdefault(way.destination, []).append(index)
            continue
        source = work.home(way.unit)
        work.move(way.unit, way.destination, why)
        for again in waiting.pop(source, ()):
            heapq.heappush(heap, (-useful(ways[again]), again))
    return not waiting


def in_any_case(
    work: workspace.Workspace, ways: collections.abc.Sequence[Way]
) -> None:
    """Move units the given ways, which are all open in the order given.

    The most useful go first, where that leaves all of them open.
    """
    first = len(work.steps)
    if carry_out(work, ways):
        return
    work.rewind(first)
    for way in ways:
        why = reasons.standing(work, way.unit, way.destination)
        work.move(way.unit, way.destination, why)
