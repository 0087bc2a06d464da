"""Relief: bring hosts under a limit with the fewest, cheapest moves.

A host with the excess *e* needs at least as many moves as its largest
instances take to cover *e*. Of the instances that keep that number possible,
the one that costs least to move goes first, to a host that stays under the
limit itself; one that no host takes is put aside, and the number is worked
out again.
"""

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import cold
from kvm_balancer.planner import reasons
from kvm_balancer.planner import workspace

#: cores that a sum of floats may be off
_SLACK = 1e-9


class Relief:
    """Relieves one host after the other on a workspace."""

    def __init__(self, work: workspace.Workspace, limit: float) -> None:
        self.work = work
        self._cpus = work.fleet.hosts.cpus
        #: cores that may be in use on each host
        self._limit = limit * self._cpus
        self._cold = cold.ColdHosts(work)

    def hot_hosts(self) -> list[int]:
        """Return the hosts over the limit, hottest first."""
        load = self.work.state.cores / self._cpus
        over = np.flatnonzero(self.excess() > _SLACK)
        order = np.argsort(-load[over], kind='stable')
        hottest: list[int] = over[order].tolist()
        return hottest

    def excess(self) -> columns.Floats:
        """Return the cores that every host has in use over the limit."""
        excess: columns.Floats = self.work.state.cores - self._limit
        return excess

    def relieve(self, host: int) -> bool:
        """Move instances away until *host* is at the limit.

        :returns: whether it got there
        """
        work = self.work
        refused: set[int] = set()
        while True:
            excess = float(self.excess()[host])
            if excess <= _SLACK:
                return True
            if work.spent:
                return False
            units = work.units_on(host)
            units = units[work.units.cpu_usage[units] > 0]
            units = units[~np.isin(units, list(refused))]
            usage = work.units.cpu_usage[units]
            units = units[work.worth.relieving(units, usage, excess)]
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
            usage = work.units.cpu_usage[candidates]
            idle = self._limit[hosts] - work.state.cores[hosts]
            fits = usage[:, None] <= idle[None, :] + _SLACK
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
        usage = self.work.units.cpu_usage[units]
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
        cheapest = np.lexsort(
            (self.work.units.mib[chosen], self.work.units.size[chosen])
        )
        return chosen[cheapest]

    def _move(self, unit: int, fit: columns.Ints) -> None:
        destination = self.work.best(unit, fit)
        why = reasons.standing(self.work, unit, destination)
        self.work.move(unit, destination, why)
