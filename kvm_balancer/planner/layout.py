"""Where units are after a set of moves that may still be changed.

A search that improves a set of moves as a whole puts units from host to
host here, and back home: nothing is moved on the workspace, order does not
matter yet, and a unit that is home again costs nothing. Which changes are
good is not known here.

Room and groups are kept to by the layout itself, as columns. Where other
filters are on that look at each instance or at the growing plan, or weighers
that are decisive, the placement of the workspace goes along, so that they
are asked about things as they are.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from kvm_balancer.filters import capacity
from kvm_balancer.filters import groups
from kvm_balancer.filters import soft_groups
from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import pace
from kvm_balancer.planner import prices
from kvm_balancer.planner import sequence
from kvm_balancer.planner import tastes as liking
from kvm_balancer.planner import workspace

#: sums of floats are compared with this slack
_SLACK = 1e-6
_NO_UNITS = np.zeros(0, np.int32)
#: filters that a layout keeps to by itself: by its room, and by leaving
#: alone what is in a group
_KEPT = (
    capacity.CapacityFilter,
    groups.GroupsFilter,
    soft_groups.SoftGroupsFilter,
)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A set of moves to come back to.

    :ivar units: what is not at home, and *hosts* where each of them is
    """

    squares: float
    cost: float
    units: columns.Ints = dataclasses.field(default_factory=_NO_UNITS.copy)
    hosts: columns.Ints = dataclasses.field(default_factory=_NO_UNITS.copy)


class Layout:
    """The fleet as it is after the moves so far.

    :ivar home: host of each unit before its move, shape ``(units,)``
    :ivar at: its host after it
    :ivar loose: units that may be put elsewhere: single ones with load, of
        no group
    :ivar cost: what it costs that a unit is not at home, shape ``(units,)``
    :ivar tastes: and what that is more on hosts that weighers do not like
    :ivar away: distance of the load of each host from the mean
    :ivar room: as in a placement
    :ivar spent: what all that are not at home cost
    """

    def __init__(
        self, work: workspace.Workspace, first: int, counts: prices.Prices
    ) -> None:
        """Take over the steps of *work* from the *first* on."""
        self.work = work
        self.cost = counts.units
        self._prices = counts
        self._filters = work.admission.besides(_KEPT)
        self.tastes = liking.of(work)
        state, units = work.state, work.units
        self.at: npt.NDArray[np.int32] = state.host[
            units.first(np.arange(len(units), dtype=np.int32))
        ].astype(np.int32)
        self._found = self.at.copy()
        self.home = self.at.copy()
        self.loose = work.free.copy()
        for step in work.steps[first:]:
            self.home[step.unit] = step.source
            self.loose[step.unit] = True
        self.loose &= (units.cpu_usage > 0) & (units.size == 1)
        self.loose &= ~_grouped(work)
        self.room: columns.Floats = state.room.copy()
        self.weight: columns.Floats = work.counted.astype(np.float64)
        self._count = max(1.0, float(self.weight.sum()))
        self.away: columns.Floats = state.cpu_load.copy()
        self._cpus = work.fleet.hosts.cpus
        self.moves, self.mib = work.moves, work.moved_mib
        self.spent = sum(
            self._cost_on(unit, int(self.at[unit]))
            for unit in self.moved.tolist()
        )
        self.settle()

    @property
    def moved(self) -> columns.Ints:
        """The units that are not at home."""
        return np.flatnonzero(self.at != self.home).astype(np.int32)

    @property
    def squares(self) -> float:
        """The sum of squared distances from the mean."""
        return float((self.weight * self.away**2).sum())

    def settle(self) -> None:
        """Measure distances from the mean as it is now.

        It changes where hosts of one zone have different cores.
        """
        self.away -= float((self.weight * self.away).sum()) / self._count

    def put(self, unit: int, host: int) -> None:
        """Put *unit* on *host*."""
        units = self.work.units
        here, home = int(self.at[unit]), int(self.home[unit])
        usage, need = float(units.cpu_usage[unit]), units.need[:, unit]
        self.away[here] -= usage / self._cpus[here]
        self.away[host] += usage / self._cpus[host]
        self.room[:, here] += need
        self.room[:, host] -= need
        self.at[unit] = host
        more = int(host != home) - int(here != home)
        self.moves += more * int(units.size[unit])
        self.mib += more * float(self.work.copied_mib[unit])
        self.spent += self._cost_on(unit, host) - self._cost_on(unit, here)
        if self.heard:
            self._move(unit, here, host)

    @property
    def heard(self) -> bool:
        """True where filters or weighers are to be asked on the way."""
        return bool(self._filters) or self.tastes is not None

    def _move(self, unit: int, here: int, host: int) -> None:
        """Let the placement go along, as if *unit* came from home."""
        state, home = self.work.state, int(self.home[unit])
        members = self.work.units.of(unit)
        if here != home:
            state.take_back(members, home)
        if host != home:
            state.move(members, host)

    def _cost_on(self, unit: int, host: int) -> float:
        """Return what it costs that *unit* is on *host*."""
        home = int(self.home[unit])
        if host == home:
            return 0.0
        cost = float(self.cost[unit])
        if self.tastes is not None:
            cost *= 1.0 + self.tastes.at(unit, home, host)
        if self.work.pace.even:
            return cost
        one = np.array((unit,), np.int32)
        more = self.work.pace.more(one, np.array((host,), np.int32))
        if more is not None:
            cost += float(self._prices.more(one, more)[0, 0])
        return cost

    def surcharge(
        self,
        units: columns.Ints,
        hosts: columns.Ints,
        more: pace.More | None,
    ) -> columns.Floats | None:
        """Return what units cost more on hosts than they do anyway.

        :param more: what they take there over slower networks
        :returns: shape ``(len(units), len(hosts))``; None where nothing
        """
        found: columns.Floats | None = None
        if self.tastes is not None:
            found = self.tastes.surcharge(units, self.home[units], hosts)
            found *= self.cost[units][:, None]
        if more is None:
            return found
        slow = self._prices.more(units, more)
        return slow if found is None else found + slow

    def allowed(
        self, units: columns.Ints, hosts: columns.Ints
    ) -> columns.Bools:
        """Say which units rules let go to which hosts, but for room.

        :param units: of one instance each
        :returns: shape ``(len(units), len(hosts))``
        """
        admission = self.work.admission
        instances = self.work.units.first(units)
        passed = admission.static(instances, hosts)
        for one in self._filters:
            passed = passed & admission.ask(one, instances, hosts)
        return passed

    def stands(self, unit: int) -> bool:
        """Say whether the filters let *unit* be where it is now."""
        home, here = int(self.home[unit]), int(self.at[unit])
        if not self._filters or here == home:
            return True
        members = self.work.units.of(unit)
        self.work.state.take_back(members, home)
        passed = all(
            self.work.admission.ask(
                one, members, np.array((here,), np.int32)
            ).all()
            for one in self._filters
        )
        self.work.state.move(members, here)
        return passed

    def leave(self) -> None:
        """Put all back where the steps of the workspace have it.

        Its placement goes along with what is tried where filters or weighers
        are asked, and has to say again what the steps say.
        """
        for unit in np.flatnonzero(self.at != self._found).tolist():
            self.put(unit, int(self._found[unit]))

    def over_limits(self, moves: int, mib: float) -> bool:
        """Say whether it takes too much, and more than *moves* and *mib*."""
        limits = self.work.context.limits
        return bool(
            (limits.max_moves and self.moves > max(limits.max_moves, moves))
            or (
                limits.max_mib and self.mib > max(limits.max_mib, mib) + _SLACK
            )
        )

    def fits(
        self,
        more: npt.NDArray[np.float64],
        hosts: columns.Ints,
    ) -> columns.Bools:
        """Say where there is room for so much *more*, by resource."""
        passed: columns.Bools = np.logical_and.reduce(
            more <= self.room[:, hosts] + _SLACK, axis=0
        )
        return passed

    def snapshot(self) -> Snapshot:
        """Return what to come back to."""
        units = self.moved
        return Snapshot(self.squares, self.spent, units, self.at[units])


def ways(kept: Snapshot) -> list[sequence.Way]:
    """Return where each unit of a snapshot goes."""
    return [
        sequence.Way(unit, host)
        for unit, host in zip(
            kept.units.tolist(), kept.hosts.tolist(), strict=True
        )
    ]


def _grouped(work: workspace.Workspace) -> columns.Bools:
    """Return the units whose groups say where they may not meet.

    They keep their ways: what they may do hangs on others' ways.
    """
    units = work.units
    if not len(units):
        return work.fleet.grouped
    fixed: columns.Bools = np.logical_or.reduceat(
        work.fleet.grouped[units.members], units.offset[:-1]
    )
    return fixed
