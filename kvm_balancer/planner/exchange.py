"""Exchange: a hot host is relieved where no single move does.

A destination that has no room, or would go over the limit itself, first
gives something away: to a third host, or to the hot host, which then gets
back less than it gave. Two moves each, and both or neither are made. Only
for readings that add up: of the others nobody knows what an exchange does.
"""

import numpy as np

from kvm_balancer.model import placement
from kvm_balancer.planner import goals
from kvm_balancer.planner import reasons
from kvm_balancer.planner import workspace

#: sums of floats are compared with this slack
_SLACK = 1e-6
#: exchanges that are tried for one host, and destinations of each unit
_TRIES, _DESTINATIONS = 400, 24


class Exchange:
    """Makes exchanges on a workspace."""

    def __init__(
        self,
        work: workspace.Workspace,
        goal: goals.Goal,
        ceilings: goals.Ceilings,
    ) -> None:
        """Begin where *work* is.

        :param ceilings: that nobody is brought over
        """
        self._work = work
        self._goal = goal
        self._ceilings = ceilings
        self._left = 0

    def relieve(self, host: int) -> bool:
        """Exchange until *host* is at its limit; say whether it got there."""
        if not self._goal.gauge.adds_up:
            return self._excess(host) <= _SLACK
        self._left = _TRIES
        self._work.cause = self._goal.cause(host)
        while self._excess(host) > _SLACK:
            if self._work.spent or not self._once(host):
                return False
        return True

    def _excess(self, host: int) -> float:
        return float(self._goal.excess()[host])

    def _once(self, host: int) -> bool:
        """Make one exchange, of what relieves *host* most."""
        work = self._work
        units = work.units_on(host)
        usage = self._goal.usage[units]
        worthy = self._goal.worthy(host, units, self._excess(host))
        worthy &= usage > 0
        units, usage = units[worthy], usage[worthy]
        hosts = work.neighbours(host)
        load = self._goal.excess()[hosts]
        coldest = hosts[np.argsort(load, kind='stable')][:_DESTINATIONS]
        excess = self._excess(host)
        for unit in units[np.argsort(-usage, kind='stable')].tolist():
            one = np.array((unit,), np.int32)
            worthy = self._goal.worthy_on(host, one, excess, coldest)[0]
            for destination in work.preferred(unit, coldest[worthy]).tolist():
                if self._make_room(unit, host, destination):
                    return True
        return False

    def _make_room(self, unit: int, host: int, destination: int) -> bool:
        """Move *unit* to *destination* and something else away from there."""
        work = self._work
        usage = float(self._goal.usage[unit])
        over = self._excess(destination) + usage
        others = work.units_on(destination)
        their = self._goal.usage[others]
        lacking = work.units.need[:, unit] - work.state.room[:, destination]
        helps = (their >= over - _SLACK) & (their < usage)
        helps &= (work.units.need[:, others] >= lacking[:, None] - _SLACK).all(
            axis=0
        )
        others, their = others[helps], their[helps]
        for other in others[np.argsort(their, kind='stable')].tolist():
            if self._left <= 0:
                return False
            self._left -= 1
            if self._exchange(unit, other, host, destination):
                return True
        return False

    def _exchange(
        self, unit: int, other: int, host: int, destination: int
    ) -> bool:
        """Try a third host for *other*, then *host*."""
        work = self._work
        first = len(work.steps)
        third = self._third(other, host, destination)
        for away, order in (
            (third, (other, unit)),
            (host, (other, unit)),
            (host, (unit, other)),
        ):
            places = {other: away, unit: destination}
            if (
                away >= 0
                and all(self._move(one, places[one]) for one in order)
                and self._within(away, destination)
            ):
                return True
            work.rewind(first)
        return False

    def _within(self, *hosts: int) -> bool:
        """Say whether all *hosts* are under all limits but the goal's."""
        there = np.array(hosts, np.int32)
        return self._ceilings.kept(there, self._goal.limit.reading)

    def _third(self, other: int, host: int, destination: int) -> int:
        """Return the coldest host that takes *other*; -1 without any."""
        work = self._work
        hosts = work.neighbours(destination)
        hosts = hosts[hosts != host]
        idle = -self._goal.excess()[hosts] - float(self._goal.usage[other])
        memory = work.units.need[placement.MEMORY_MIB, other]
        fits = (idle >= -_SLACK) & (
            work.state.room[placement.MEMORY_MIB, hosts] >= memory - _SLACK
        )
        hosts, idle = hosts[fits], idle[fits]
        row = np.array((other,), np.int32)
        hosts = hosts[np.argsort(-idle, kind='stable')]
        open_now = hosts[work.allowed(row, hosts)[0]]
        open_now = work.preferred(other, open_now)
        return int(open_now[0]) if len(open_now) else -1

    def _move(self, unit: int, host: int) -> bool:
        work = self._work
        row = np.array((unit,), np.int32)
        there = np.array((host,), np.int32)
        if not work.may_move(unit) or not work.allowed(row, there)[0, 0]:
            return False
        why = reasons.standing(work, unit, host)
        work.move(unit, host, why)
        return True
