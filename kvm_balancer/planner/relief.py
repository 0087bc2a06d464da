"""Relief: bring hosts under a limit with the fewest, cheapest moves.

The limit is one of CPU or of another reading (:mod:`.gauges`); what is said
of usage and excess is of that reading, in its own unit.

A host with the excess *e* needs at least as many moves as its largest
instances take to cover *e*. Of the instances that keep that number possible,
the one that costs least to move goes first, to a host that stays under the
limit itself; one that no host takes is put aside, and the number is worked
out again. What is still hot then is relieved by exchanges
(:mod:`.exchange`).

Where hosts stay hot all the same, or it took more moves than the proven
least, all of it is done once more: the hosts that are least over the limit
first, of each the largest instances, and nothing off a host that would stay
hot before all others are done. The better of the two is kept.
"""

import collections.abc

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import cold
from kvm_balancer.planner import exchange
from kvm_balancer.planner import goals
from kvm_balancer.planner import reasons
from kvm_balancer.planner import workspace

#: what a sum of floats may be off
_SLACK = 1e-9


class Relief:
    """Relieves one host after the other on a workspace."""

    def __init__(
        self,
        work: workspace.Workspace,
        goal: goals.Goal,
        ceilings: goals.Ceilings,
        largest_first: bool = False,
        aim: float | None = None,
    ) -> None:
        """Begin where *work* is.

        :param ceilings: that no destination is brought over
        :param largest_first: and not the cheapest
        :param aim: that hosts are brought to, by default that of the goal
        """
        self.work = work
        self._goal = goal
        self._ceilings = ceilings
        self._aim = aim
        self._cold = cold.ColdHosts(work)
        self._largest_first = largest_first

    def run(self, hosts: collections.abc.Sequence[int]) -> list[int]:
        """Relieve *hosts*; return those that stay over the limit."""
        work = self.work
        exchanging = exchange.Exchange(work, self._goal, self._ceilings)
        stuck = list(hosts)
        if self._largest_first:
            stuck.sort(key=lambda host: self.excess()[host])
            for relieves in (self.relieve, self._wholly(exchanging)):
                stuck = [
                    host
                    for host in stuck
                    if not self._or_nothing(relieves, host)
                ]
        stuck = [host for host in stuck if not self.relieve(host)]
        # an overload weighs more than a wish
        work.heeds_wishes = False
        stuck = [host for host in stuck if not self.relieve(host)]
        stuck = [host for host in stuck if not exchanging.relieve(host)]
        work.heeds_wishes = True
        return stuck

    def _wholly(
        self, exchanging: exchange.Exchange
    ) -> collections.abc.Callable[[int], bool]:
        return lambda host: self.relieve(host) or exchanging.relieve(host)

    def _or_nothing(
        self, relieves: collections.abc.Callable[[int], bool], host: int
    ) -> bool:
        """Relieve *host*, or take back what did not suffice."""
        first = len(self.work.steps)
        done = relieves(host)
        if not done and len(self.work.steps) > first:
            self.work.rewind(first)
        return done

    def hot_hosts(self) -> list[int]:
        """Return the hosts over the limit, hottest first."""
        load = self._goal.load()
        over = np.flatnonzero((self.excess() > _SLACK) & self.work.scope)
        order = np.argsort(-load[over], kind='stable')
        hottest: list[int] = over[order].tolist()
        return hottest

    def excess(self) -> columns.Floats:
        """Return what every host has in use over the limit."""
        return self._goal.excess(self._aim)

    def relieve(self, host: int) -> bool:
        """Move instances away until *host* is at the limit.

        :returns: whether it got there
        """
        work = self.work
        work.cause = self._goal.cause(host)
        refused: set[int] = set()
        while True:
            excess = float(self.excess()[host])
            if excess <= _SLACK:
                return True
            if work.spent or not np.isfinite(excess):
                return False
            units = work.units_on(host)
            units = units[self._goal.usage[units] > 0]
            units = units[~np.isin(units, list(refused))]
            units = units[self._goal.worthy(host, units, excess)]
            if not len(units):
                return False
            if not self._move_one(host, units, excess, refused):
                continue

    def _move_one(
        self,
        host: int,
        units: columns.Ints,
        excess: float,
        refused: set[int],
    ) -> bool:
        """Move the cheapest unit that keeps the number of moves least."""
        work = self.work
        candidates = self._candidates(units, excess)
        for hosts in cold.chunks(self._cold.zone_of(host).hosts):
            hosts = hosts[hosts != host]
            fits = self._ceilings.fit(candidates, hosts)
            fits &= self._goal.leaves_more(host, candidates, hosts)
            fits &= self._goal.worthy_on(host, candidates, excess, hosts)
            fits &= work.allowed(candidates, hosts)
            placeable = np.flatnonzero(fits.any(axis=1))
            for row in placeable.tolist():
                unit = int(candidates[row])
                if work.may_move(unit):
                    self._move(unit, hosts[fits[row]])
                    return True
        refused.update(candidates.tolist())
        return False

    def _candidates(self, units: columns.Ints, excess: float) -> columns.Ints:
        """Return the units that may go first, cheapest first.

        With the k largest just covering the excess, any unit will do that
        covers it together with the k - 1 largest others. Where even all do
        not cover it, the largest goes first.
        """
        usage = self._goal.usage[units]
        order = np.argsort(-usage, kind='stable')
        units, usage = units[order], usage[order]
        covered = np.cumsum(usage)
        count = int(np.searchsorted(covered, excess - _SLACK)) + 1
        if count > len(units):
            return units
        others = float(covered[count - 1] - usage[count - 1])
        enough = usage + others >= excess - _SLACK
        enough[:count] = True
        chosen = units[enough]
        if self._largest_first:
            return chosen
        cheapest = np.lexsort(
            (self.work.units.mib[chosen], self.work.units.size[chosen])
        )
        return chosen[cheapest]

    def _move(self, unit: int, fit: columns.Ints) -> None:
        destination = self.work.best(unit, fit)
        why = reasons.standing(self.work, unit, destination)
        self.work.move(unit, destination, why)


def relieve(
    work: workspace.Workspace,
    goal: goals.Goal,
    ceilings: goals.Ceilings,
    hosts: collections.abc.Sequence[int],
    least: int | None,
) -> list[int]:
    """Bring *hosts* down to a goal; return those that stay over it.

    :param ceilings: that nobody is brought over
    :param least: moves that it takes at least; None where that is not known
    """
    first, moves = len(work.steps), work.moves
    tried: list[tuple[tuple[float, ...], list[workspace.Step], list[int]]] = []
    for largest_first in (False, True):
        work.rewind(first)
        stuck = Relief(work, goal, ceilings, largest_first).run(hosts)
        done = work.moves - moves
        if not tried and not stuck and done == least:
            return stuck
        over = (goal.load() - goal.limit.aim)[stuck].sum()
        rank: tuple[float, ...] = (
            float(len(stuck)),
            float(over),
            done,
            work.moved_mib,
        )
        tried.append((rank, work.steps[first:], stuck))
    rank, steps, stuck = min(tried, key=lambda one: one[0])
    if rank != tried[-1][0]:
        work.rewind(first)
        for step in steps:
            why = reasons.standing(work, step.unit, step.destination)
            work.cause = step.cause
            work.move(step.unit, step.destination, why)
    return stuck
