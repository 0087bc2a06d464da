"""Evacuation: where all units of some hosts go, so that it takes least time.

What leaves a host cannot be faster than its own network, so destinations
must not be slower: each gets as little as possible, and nothing more as long
as others have got nothing. Nothing leaves a destination, so the moves need
no order among them; the longest go first, the short ones fill the gaps.
"""

import collections.abc

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import reasons
from kvm_balancer.planner import sequence
from kvm_balancer.planner import workspace

#: cores that a sum of floats may be off
_SLACK = 1e-9


class Evacuation:
    """Takes everything off hosts of a workspace."""

    def __init__(self, work: workspace.Workspace, limit: float) -> None:
        """Begin where *work* is.

        :param limit: CPU load that no destination is brought over
        """
        self._work = work
        hosts = work.fleet.hosts
        self._limit = limit * hosts.cpus
        self._arrivals = np.zeros(len(hosts), np.int32)
        #: that the memory of all that is on a host takes over its network
        self._seconds = (
            work.fleet.sum_by_host(work.fleet.instances.memory_usage_mib)
            / hosts.migration_mib_s
        )

    def run(self, hosts: collections.abc.Sequence[int]) -> list[int]:
        """Move all that may be moved away from *hosts*.

        :returns: units that nobody takes
        """
        work = self._work
        first = len(work.steps)
        units = np.concatenate(
            [np.zeros(0, np.int32), *(work.units_on(one) for one in hosts)]
        )
        left: list[int] = []
        need = work.units.need[placement.MEMORY_MIB, units]
        # what needs most room is hardest to place
        for unit in units[np.argsort(-need, kind='stable')].tolist():
            if (
                work.out_of_time
                or not work.may_move(unit)
                or not self._place(unit)
            ):
                left.append(unit)
        self._longest_first(first)
        return left

    def _place(self, unit: int) -> bool:
        work = self._work
        hosts = self.open_hosts(unit)
        if not len(hosts):
            return False
        hosts, seconds = self._in_time(unit, hosts)
        few = self._arrivals[hosts] == self._arrivals[hosts].min()
        hosts, seconds = hosts[few], seconds[few]
        if self._arrivals[hosts[0]]:
            hosts = hosts[seconds <= float(seconds.min()) * 1.1]
        destination = work.best(unit, hosts)
        work.move(unit, destination)
        self._arrivals[destination] += int(work.units.size[unit])
        return True

    def _in_time(
        self, unit: int, hosts: columns.Ints
    ) -> tuple[columns.Ints, columns.Floats]:
        """Return those of *hosts* that get *unit* in time, and when.

        Before what is on its host could be gone over the network of that; or
        the first of them, where none is so fast.
        """
        work, home = self._work, self._work.home(unit)
        carried = work.means.networks.between(np.array((home,)), hosts)[0]
        mib = work.state.incoming_mib[hosts] + float(work.units.mib[unit])
        seconds = mib / carried
        if work.pace.even:
            return hosts, seconds
        in_time = seconds <= max(
            float(self._seconds[home]), float(seconds.min())
        )
        return hosts[in_time], seconds[in_time]

    def open_hosts(self, unit: int) -> columns.Ints:
        """Return the hosts that may take *unit* and stay under the limit."""
        work = self._work
        hosts = work.neighbours(work.home(unit))
        usage = float(work.units.cpu_usage[unit])
        cool = work.state.cores[hosts] + usage <= self._limit[hosts] + _SLACK
        hosts = hosts[cool | (usage <= 0)]
        return work.open_to(unit, hosts)

    def _longest_first(self, first: int) -> None:
        work = self._work
        ways = [
            sequence.Way(step.unit, step.destination)
            for step in work.steps[first:]
        ]
        ways.sort(key=lambda way: (-float(work.units.mib[way.unit]), way.unit))
        work.rewind(first)
        for way in ways:
            why = reasons.standing(work, way.unit, way.destination)
            work.move(way.unit, way.destination, why)
