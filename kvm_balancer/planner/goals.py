"""What relief is after on a workspace, and what no destination is to exceed.

One goal is to bring one reading (:mod:`.gauges`) of hosts under its limit.
What it moves keeps to the limits of all readings where it arrives.
"""

import collections.abc

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan
from kvm_balancer.planner import gauges
from kvm_balancer.planner import workspace

#: sums of floats may be off by so much
_SLACK = 1e-9


class Goal:
    """One reading of the hosts of a workspace, and its limit.

    :ivar usage: what each unit has of the reading, in the unit of the gauge,
        shape ``(units,)``
    """

    def __init__(self, work: workspace.Workspace, limit: gauges.Limit) -> None:
        self._work = work
        self.limit = limit
        self.gauge = gauges.Gauge(work.fleet, limit.reading)
        self.usage: columns.Floats = work.units.total(self.gauge.usage)

    @property
    def name(self) -> str:
        """What a figure of the reading is called."""
        return self.limit.reading.words

    def cause(self, host: int) -> plan.Cause:
        """Return what moves are made for that relieve *host*."""
        return plan.Cause(
            plan.CauseKind.SOURCE_LOAD,
            float(self.limit.aim[host]),
            self.limit.reading,
        )

    def load(self) -> columns.Floats:
        """Return the reading of every host now; NaN where nobody knows."""
        return self.gauge.load(self._work.state)

    def excess(
        self, aim: columns.Floats | float | None = None
    ) -> columns.Floats:
        """Return what every host has too much, in the unit of the gauge.

        :param aim: of the reading; by default that of the limit
        """
        wanted = self.limit.aim if aim is None else aim
        return self.gauge.excess(self._work.state, wanted)

    def over(self) -> columns.Bools:
        """Return the hosts that are over the limit, shape ``(hosts,)``."""
        found: columns.Bools = self.load() > self.limit.most
        return found

    def held(self) -> columns.Floats:
        """Return what hosts would read if all left that may."""
        work = self._work
        free = work.free_instances
        leaving = np.bincount(
            work.state.host[free],
            weights=self.gauge.usage[free],
            minlength=len(work.fleet.hosts),
        )
        stays: columns.Floats = self.load() - self.gauge.slope * leaving
        return stays

    def worthy(
        self, host: int, units: columns.Ints, excess: float
    ) -> columns.Bools:
        """Say which of *units* are worth moving off *host*.

        A share of another reading counts as much as the same share of its
        cores.

        :param excess: of the host, in the unit of the gauge
        """
        nothing = np.zeros((len(units), 1))
        return self._relieving(host, units, excess, nothing)[:, 0]

    def worthy_on(
        self,
        host: int,
        units: columns.Ints,
        excess: float,
        hosts: columns.Ints,
    ) -> columns.Bools:
        """Say which of *units* are worth moving to which of *hosts*.

        :returns: shape ``(units, hosts)``
        """
        more = self._work.pace.more(units, hosts)
        if more is None:
            worthy = self.worthy(host, units, excess)
            return np.repeat(worthy[:, None], len(hosts), axis=1)
        return self._relieving(host, units, excess, more.core_seconds)

    def _relieving(
        self,
        host: int,
        units: columns.Ints,
        excess: float,
        more: columns.Floats,
    ) -> columns.Bools:
        """Say who is worth its move off *host*, where it costs *more*."""
        cpus = float(self._work.fleet.hosts.cpus[host])
        cores = float(self.gauge.slope[host]) * cpus
        return self._work.worth.relieving(
            units, self.usage[units] * cores, excess * cores, more
        )

    def leaves_more(
        self, host: int, units: columns.Ints, hosts: columns.Ints
    ) -> columns.Bools:
        """Say where *host* is left with more, by its size, than others get.

        Where it is not known beforehand what arrivals add to a reading, the
        use of its kind is what can be compared.

        :returns: shape ``(units, hosts)``
        """
        if not self.gauge.compared:
            return np.ones((len(units), len(hosts)), np.bool_)
        in_use, size = self.gauge.in_use(self._work.state), self.gauge.size
        left = (in_use[host] - self.excess()[host]) / size[host]
        most = left * size[hosts] - in_use[hosts]
        found: columns.Bools = (
            self.usage[units][:, None] <= most[None, :] + _SLACK
        )
        return found


class Ceilings:
    """The limits of all readings that destinations keep to."""

    def __init__(
        self,
        work: workspace.Workspace,
        limits: collections.abc.Iterable[gauges.Limit],
    ) -> None:
        self._work = work
        whole = np.ones(len(work.fleet.hosts))
        cpu = gauges.Limit(gauges.Reading.CPU, whole, whole)
        self._cpu = Goal(work, cpu)
        #: what a unit uses where it need not wait
        self._demand = work.units.total(gauges.demand(work.fleet))
        self._memory: Goal | None = None
        self._others: list[Goal] = []
        for limit in limits:
            goal = Goal(work, limit)
            if limit.reading is gauges.Reading.CPU:
                self._cpu = goal
            elif limit.reading is gauges.Reading.MEMORY:
                self._memory = goal if goal.gauge.known else None
            elif not goal.gauge.adds_up and (goal.load() > limit.aim).any():
                self._others.append(goal)

    def fit(self, units: columns.Ints, hosts: columns.Ints) -> columns.Bools:
        """Say which of *units* keep to the limits on which of *hosts*.

        :returns: shape ``(units, hosts)``
        """
        idle = (
            self._cpu.limit.aim[hosts] * self._cpu.gauge.size[hosts]
            - self._work.state.cores[hosts]
        )
        found: columns.Bools = (
            self._demand[units][:, None] <= idle[None, :] + _SLACK
        )
        if self._memory is not None:
            room = -self._memory.excess()[hosts]
            # what nobody has measured is no reason to refuse
            room = np.where(np.isnan(room), np.inf, room)
            usage = self._memory.usage[units]
            found &= usage[:, None] <= room[None, :] + _SLACK
        for goal in self._others:
            found &= ~(goal.load() > goal.limit.aim)[hosts][None, :]
        return found

    def kept(self, hosts: columns.Ints, but: gauges.Reading) -> bool:
        """Say whether *hosts* are under all limits, that of *but* aside."""
        goals = [self._cpu, *self._others]
        if self._memory is not None:
            goals.append(self._memory)
        return not any(
            (goal.excess()[hosts] > _SLACK).any()
            for goal in goals
            if goal.limit.reading is not but
        )
