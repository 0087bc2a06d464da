"""What moves can reach at all, and who keeps them from more.

A host with bad samples, a frozen zone or what may not be moved put some
loads where they are. What no move changes is no reason to move anything
else: it is set apart, and the others are brought as far as they can be.
"""

import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import bounds
from kvm_balancer.planner import workspace

#: a spread that is over a target by this is not
_SLACK = 1e-6
#: CPU load that no host can have: samples that tell of it are bad
_IMPLAUSIBLE = 1.25
#: so many times the floor is near it
_NEAR = 1.05
#: a load that differs by less is the same
_HARDLY = 0.01
#: share of the hosts that is few
_FEW = 0.15
#: hosts that are named
_MOST_NAMED = 3


def fixed(
    work: workspace.Workspace, most: columns.Floats | float
) -> columns.Floats:
    """Return the CPU load that no move takes off each host.

    An instance that is too much for every host of its zone that takes
    anything stays, too.

    :param most: CPU load that no destination is brought over
    :returns: shape ``(hosts,)``
    """
    hosts, units = work.fleet.hosts, work.units
    rows = np.flatnonzero(work.free)
    home = work.state.host[units.first(rows.astype(np.int32))]
    largest = np.zeros(len(work.fleet.zones))
    takes = work.may_take
    np.maximum.at(largest, hosts.zone[takes], (most * hosts.cpus)[takes])
    usage = units.cpu_usage[rows]
    usage = np.where(usage <= largest[hosts.zone[home]], usage, 0.0)
    leaving = np.bincount(home, weights=usage, minlength=len(hosts))
    load: columns.Floats = (work.state.cores - leaving) / hosts.cpus
    return load


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """How far the spread of a workspace can come down, by and large.

    :ivar apart: hosts of which more cores are in use than they have, and
        whatever is moved, as bad samples have it; or few that nothing leaves
        or reaches, and that alone keep the target away; shape ``(hosts,)``
    :ivar floor: the spread of all others when every zone is even
    :ivar alike: hosts of a zone have as many cores as each other; where they
        do not, some uneven loads are still better than the floor
    """

    apart: columns.Bools
    floor: float
    alike: bool = True

    def target(self, wanted: float) -> float:
        """Return the spread to go for where *wanted* is out of reach.

        What is under the floor is not to be had: it is come near to, and
        what little is left to gain then is not worth all the moves it takes.
        """
        if self.floor <= wanted + _SLACK:
            return wanted
        return max(wanted, self.floor * (_NEAR if self.alike else 1.0))

    def text(self, fleet: columns.Fleet, target: float) -> str:
        """Say in one line why *target* was not reached."""
        names = [fleet.hosts.name[row] for row in np.flatnonzero(self.apart)]
        if names:
            more = len(names) - _MOST_NAMED
            named = ', '.join(names[:_MOST_NAMED])
            also = f' and {more} more' if more > 0 else ''
            return (
                f'no move changes what keeps {named}{also} from the others; '
                'these are brought together without them'
            )
        if self.floor > target + _SLACK:
            return (
                f'it would be {self.floor:.3f} with every zone even, as what '
                'may not be moved and zones keep loads where they are'
            )
        return 'no move, swap or chain of moves makes it better'


def of(work: workspace.Workspace, target: float) -> Reach:
    """Say what can be reached, and who is in the way of *target*."""
    hosts = work.fleet.hosts
    low = fixed(work, 1.0)
    high = np.where(work.may_take, np.inf, work.state.cpu_load)
    high = np.maximum(high, low)
    even = _Even(work, low, high)
    everybody = even.spread(work.counted)
    if everybody <= target + _SLACK:
        return Reach(np.zeros(len(hosts), np.bool_), everybody)
    apart = work.counted & (low > _IMPLAUSIBLE)
    others = work.counted & ~apart
    alike = all(
        len(np.unique(hosts.cpus[others & (hosts.zone == zone)])) <= 1
        for zone in range(len(work.fleet.zones))
    )
    found = Reach(apart, even.spread(others), alike)
    stuck = even.in_the_way(others, target, found.target(target))
    if not stuck.any():
        return found
    return Reach(apart | stuck, even.spread(others & ~stuck), alike)


class _Even:
    """A fleet of which every zone is as even as it gets.

    :param low: the least load of each host
    :param high: and the highest
    """

    def __init__(
        self,
        work: workspace.Workspace,
        low: columns.Floats,
        high: columns.Floats,
    ) -> None:
        self._work = work
        self._low, self._high = low, high

    def spread(self, counted: columns.Bools) -> float:
        """Return the spread over *counted* hosts."""
        if not counted.any():
            return 0.0
        return float(self._levels(counted)[counted].std())

    def _levels(self, counted: columns.Bools) -> columns.Floats:
        hosts = self._work.fleet.hosts
        level = np.zeros(len(hosts))
        for zone in range(len(self._work.fleet.zones)):
            inside = np.flatnonzero(counted & (hosts.zone == zone))
            if len(inside):
                level[inside] = bounds.pour(
                    self._low[inside],
                    self._high[inside],
                    float(self._work.state.cores[inside].sum()),
                    hosts.cpus[inside],
                )
        return level

    def in_the_way(
        self, counted: columns.Bools, target: float, instead: float
    ) -> columns.Bools:
        """Return the hosts but for which *target* is reached.

        They are few, nothing leaves them, or nothing reaches them, and their
        load is not that of the others. None where it takes the others less to
        bring the spread of all to what there is to go for.

        :param instead: the spread of all there is to go for
        """
        none = np.zeros(len(counted), np.bool_)
        level, load = self._levels(counted), self._work.state.cpu_load
        clipped = (level <= self._low) | (level >= self._high)
        fixed = np.abs(level - load) <= _HARDLY
        stuck = np.flatnonzero(counted & clipped & fixed)
        away = np.abs(level[stuck] - level[counted].mean())
        stuck = stuck[np.argsort(-away, kind='stable')]
        for count in range(1, int(_FEW * np.count_nonzero(counted)) + 1):
            apart = none.copy()
            apart[stuck[:count]] = True
            if self.spread(counted & ~apart) > target + _SLACK:
                continue
            left = level[counted & ~apart]
            squares = left.var() * len(left) + np.count_nonzero(counted) * (
                instead**2 - level[counted].var()
            )
            return apart if target**2 * len(left) >= squares else none
        return none
