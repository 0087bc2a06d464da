"""Why a move goes to this host, of all that would take what it moves.

A policy that evens loads out goes by the spread of CPU load, and by the
weighers where hosts are even. One that empties a host brings others as little
as it can; one that has to move an instance, for whatever reason, lets the
weighers choose. What is told is what decided: two figures that read the same
are never held against each other.
"""

import collections.abc

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import rules
from kvm_balancer.planner import workspace
from kvm_balancer.planner.explanation import motives
from kvm_balancer.planner.explanation import records
from kvm_balancer.planner.explanation import words

#: weights that differ by less are even to the search as well
_SAME = 1e-9
_BETTER_PLACED = 'with the other moves of the plan this one is better placed'


def _reads_less(one: float, other: float) -> bool:
    """Say whether a load or a weight is seen to be less than another."""
    return one < other and f'{one:.2f}' != f'{other:.2f}'


class Choice:
    """The hosts that take one unit before it moves, and which it was.

    :ivar second: the next best host by CPU spread; None where there is none
    """

    def __init__(
        self,
        work: workspace.Workspace,
        plot: motives.Plot,
        move: plans.Move,
        unit: int,
        places: collections.abc.Sequence[records.Place],
    ) -> None:
        """Look at a choice.

        :param places: of *unit*: all hosts that were asked
        """
        self._work, self._plot = work, plot
        self._move, self._unit = move, unit
        self._asked = len(places)
        fit = [one for one in places if one.refused is None]
        self._chosen = next(
            one for one in places if one.host == move.destination
        )
        self._others = sorted(
            (one for one in fit if one.host != move.destination),
            key=lambda one: one.cpu_spread,
        )
        self._fit = 1 + len(self._others)
        self.second = self._others[0] if self._others else None

    def text(self) -> str:
        """Say what decided."""
        if self.second is None:
            return f'it is the only one of {self._asked} hosts that fits'
        work, cause = self._work, self._move.cause
        if self._move.source in self._plot.emptied:
            return motives.filled(
                work,
                self._plot,
                self._unit,
                self._row(self._chosen),
                self._rows((self._chosen, *self._others)),
            )
        if cause is not None and cause.kind is plans.CauseKind.RULE:
            return self._by_rule() or self._by_weighers()
        if cause is not None and cause.kind is plans.CauseKind.DRAINING:
            return self._by_arrivals()
        if cause is not None and cause.kind is plans.CauseKind.SOURCE_LOAD:
            return self._by_weighers()
        return self._by_spread(self.second)

    def _row(self, one: records.Place) -> int:
        return self._work.fleet.host_row[one.host]

    def _rows(
        self, places: collections.abc.Iterable[records.Place]
    ) -> columns.Ints:
        return np.array([self._row(one) for one in places], np.int32)

    def _by_rule(self) -> str:
        """Say whom of its affinity group the unit joins; empty if nobody."""
        fleet, host = self._work.fleet, self._work.state.host
        there = self._row(self._chosen)
        own = self._work.units.of(self._unit).tolist()
        for group in {
            group for one in own for group in fleet.groups_of.get(one, ())
        }:
            apart = [
                one
                for one in rules.of_group(fleet, host, group)
                if one.kind is rules.Kind.APART
            ]
            members = fleet.groups.members(group)
            count = int(np.count_nonzero(host[members] == there))
            if apart and count:
                return (
                    f'{words.count(count, "instance")} of group '
                    f'{fleet.groups.name[group]}, which wants to be on one '
                    'host, run there already'
                )
        return ''

    def _by_arrivals(self) -> str:
        """Say how little the drain brings it, and others."""
        brought = self._plot.drained
        mine = brought[self._chosen.host]
        others = [brought[one.host] for one in self._others]
        text = f'of {self._fit} hosts that fit, '
        if mine <= min(others):
            text += (
                f'the drain brings {words.count(mine, "instance")} here, and '
                'to none of them less'
            )
            even = [
                one
                for one, count in zip(self._others, others, strict=True)
                if count == mine
            ]
            before = self._before(even) if even else ''
            return f'{text}; of those even {before}' if before else text
        return (
            f'{text}the drain brings each as little as it can: '
            f'{words.count(mine, "instance")} here, {min(others)} to '
            f'{max(others)} to the others; where they are even the weighers '
            'choose, the largest instances first'
        )

    def _by_weighers(self) -> str:
        """Say how much the weighers like it."""
        before = self._before(self._others) or (
            'some are liked better, which limits or other moves of the plan '
            'keep it from'
        )
        return f'of {self._fit} hosts that fit, {before}'

    def _by_spread(self, second: records.Place) -> str:
        """Say what becomes of the spread, and what decided between even."""
        mine = self._chosen.cpu_spread
        lower = [
            one
            for one in self._others
            if one.cpu_spread < mine and not words.even(one.cpu_spread, mine)
        ]
        if lower:
            return (
                f'of {self._fit} hosts that fit, {len(lower)} would leave a '
                f'lower CPU spread than its {mine:.4f} by this move alone, '
                f'{second.host} the lowest, {second.cpu_spread:.4f}; '
                f'{_BETTER_PLACED}'
            )
        even = [
            one for one in self._others if words.even(one.cpu_spread, mine)
        ]
        text = f'of {self._fit} hosts that fit, none leaves a lower CPU spread'
        if not even:
            return (
                f'{text} than {mine:.4f}; second best is {second.host}, '
                f'{second.cpu_spread:.4f}'
            )
        before = self._less_loaded(even) or self._liked(even)
        leave = 'leaves' if len(even) == 1 else 'leave'
        text = f'{text} than {mine:.4f}, and {len(even)} {leave} the same; '
        if before:
            return f'{text}of all those {before}'
        return f'{text}between those the other moves of the plan decided'

    def _less_loaded(
        self, others: collections.abc.Sequence[records.Place]
    ) -> str:
        """Say that it ends less loaded than *others*; empty if not."""
        nearest = min(others, key=lambda one: one.cpu_after)
        mine, next_least = self._chosen.cpu_after, nearest.cpu_after
        if not _reads_less(mine, next_least):
            return ''
        return (
            f'it ends with the lowest CPU load, {mine:.2f}; {nearest.host} '
            f'would be at {next_least:.2f}'
        )

    def _before(self, others: collections.abc.Sequence[records.Place]) -> str:
        """Say what it has before *others*; empty where that is not seen."""
        return self._liked(others) or self._less_loaded(others)

    def _liked(self, others: collections.abc.Sequence[records.Place]) -> str:
        """Say that weighers like none better; empty where they do."""
        work = self._work
        names = ', '.join(
            one.weigher.name for one in work.context.weighers if one.multiplier
        )
        if not names:
            return ''
        rows = self._rows((self._chosen, *others))
        mine, *rest = work.weights(self._unit, rows).tolist()
        best = max(rest)
        even = rows[1:][np.array(rest) >= best - _SAME]
        second = work.fleet.hosts.name[int(even[0])]
        if _reads_less(best, mine):
            return (
                f'the weighers ({names}) like it best, {mine:.2f}; {second} '
                f'is next, {best:.2f}'
            )
        if best < mine - _SAME:
            return (
                f'the weighers ({names}) like it best, before {second} by '
                'less than 0.01'
            )
        if best <= mine + _SAME and rows[0] < even.min():
            return (
                f'the weighers ({names}) like '
                f'{words.count(len(even), "other")} as much, and it comes '
                'first in the fleet'
            )
        return ''
