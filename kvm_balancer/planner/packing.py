"""Packing: empty as many hosts as possible, and leave room for a failure.

Hosts are emptied one at a time, those with the least to move first; a host
whose units do not all find a place keeps them. A unit goes where it leaves
the least memory: what is full needs no attention any more. One that fits
nowhere may push a smaller one out that fits elsewhere.

Room for the failure of hosts: what runs in a zone fits on its hosts without
the largest of those that stay in use, and what runs on any one of them fits
on the others, instance by instance (:mod:`.failover`).
"""

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import failover
from kvm_balancer.planner import reasons
from kvm_balancer.planner import supply
from kvm_balancer.planner import workspace

#: sums of floats are compared with this slack
_SLACK = 1e-6
#: units of a host that are tried to be pushed out
_TRIES = 2


def room_for_failure(
    offered: columns.Floats, need: columns.Floats, failures: int
) -> bool:
    """Say whether *need* fits without the largest hosts.

    :param offered: by the hosts in use, shape ``(4, hosts)``
    :param need: in all, shape ``(4,)``
    """
    kept = np.sort(offered, axis=1)[:, : max(0, offered.shape[1] - failures)]
    return bool((kept.sum(axis=1) + _SLACK >= need).all())


def most_empty(
    state: placement.Placement,
    free: columns.Bools,
    limit: float,
    failures: int,
    among: columns.Bools,
) -> int:
    """Return how many hosts no plan gets more of empty.

    In every zone, as many of the largest hosts as hold what runs there, when
    the very largest have failed; and all hosts with what may not be moved.

    :param free: instances that may be moved, shape ``(instances,)``
    :param among: hosts that may be emptied and filled
    """
    fleet = state.fleet
    offered, taken = supply.capacities(fleet, limit), supply.used(state)
    overhead = fleet.hosts.cpu_overhead
    stuck = np.bincount(state.host[~free], minlength=len(fleet.hosts)) > 0
    total = 0
    for zone in range(len(fleet.zones)):
        inside = np.flatnonzero(among & (fleet.hosts.zone == zone))
        if not len(inside):
            continue
        need = taken[:, inside].sum(axis=1)
        # an empty host's own overhead is nobody else's
        need[3] -= float(overhead[inside].sum())
        least = int(np.count_nonzero(stuck[inside]))
        for row, wanted in zip(offered[:, inside], need, strict=True):
            largest = np.sort(row)[::-1]
            largest[:failures] = 0.0
            if wanted > _SLACK:
                enough = np.cumsum(largest) >= wanted - _SLACK
                first = int(enough.argmax()) + 1 if enough.any() else len(row)
                least = max(least, first)
        total += len(inside) - least
    return total


class Packing:
    """Empties hosts of a workspace."""

    def __init__(
        self, work: workspace.Workspace, limit: float, failures: int
    ) -> None:
        """Begin where *work* is.

        :param limit: CPU load that no host is brought over
        :param failures: hosts of every zone that may fail at once
        """
        self._work = work
        self._failures = failures
        self._limit = limit * work.fleet.hosts.cpus
        self._offered = supply.capacities(work.fleet, limit)
        self._failover = failover.Failover(
            work.state, work.admission, self._offered
        )
        occupied = np.bincount(
            work.state.host, minlength=len(work.fleet.hosts)
        )
        #: hosts that are in use and stay so for all that is known
        self.active: columns.Bools = (
            work.fleet.hosts.counted_on & work.scope & (occupied > 0)
        )

    def run(self) -> None:
        """Empty one host after the other, as long as that is possible."""
        work = self._work
        taken = np.bincount(
            work.state.host,
            weights=work.state.need[placement.MEMORY_MIB],
            minlength=len(work.fleet.hosts),
        )
        hosts = np.flatnonzero(self.active)
        for host in hosts[np.argsort(taken[hosts], kind='stable')].tolist():
            if work.spent:
                return
            if self._spare(host):
                self._empty(host)

    def _spare(self, host: int) -> bool:
        """Say whether there is room for a failure without *host*."""
        work = self._work
        here = np.flatnonzero(work.state.host == host)
        mine = work.units_on(host)
        if int(work.units.size[mine].sum()) < len(here):
            return False
        zone = work.fleet.hosts.zone
        inside = self.active & (zone == zone[host])
        need = supply.used(work.state)[:, inside].sum(axis=1)
        inside[host] = False
        return room_for_failure(self._offered[:, inside], need, self._failures)

    def _empty(self, host: int) -> bool:
        """Move all units of *host*, or none."""
        work = self._work
        first = len(work.steps)
        units = work.units_on(host)
        if not work.worth.emptying(units, float(work.fleet.hosts.cpus[host])):
            return False
        need = work.units.need[placement.MEMORY_MIB, units]
        self.active[host] = False
        for unit in units[np.argsort(-need, kind='stable')].tolist():
            if not work.may_move(unit) or not (
                self._place(unit) or self._push(unit)
            ):
                return self._give_up(host, first)
        if self._worthy(host, first) and self._restartable(host, first):
            return True
        return self._give_up(host, first)

    def _worthy(self, host: int, first: int) -> bool:
        """Say whether *host* is worth its moves where they really go.

        :param first: step from which on steps have emptied *host*
        """
        work = self._work
        if work.pace.even:
            return True
        more, units = 0.0, []
        for step in work.steps[first:]:
            if step.source == host:
                units.append(step.unit)
            one = np.array((step.unit,), np.int32)
            there = np.array((step.destination,), np.int32)
            found = work.pace.more(one, there)
            more += float(found.core_seconds[0, 0]) if found else 0.0
        return work.worth.emptying(
            np.array(units, np.int32),
            float(work.fleet.hosts.cpus[host]),
            more,
        )

    def _restartable(self, host: int, first: int) -> bool:
        """Say whether any host in the zone of *host* may fail.

        :param first: step from which on steps have emptied *host*
        """
        if not self._failures:
            return True
        zone = self._work.fleet.hosts.zone
        inside = self.active & (zone == zone[host])
        touched = np.zeros(len(inside), np.bool_)
        touched[[one.destination for one in self._work.steps[first:]]] = True
        return self._failover.holds(
            inside, supply.used(self._work.state), touched
        )

    def _give_up(self, host: int, first: int) -> bool:
        """Take back the steps from the *first* on; *host* stays in use."""
        self._work.rewind(first)
        self.active[host] = True
        return False

    def _fits(self, unit: int, hosts: columns.Ints) -> columns.Ints:
        """Return those of *hosts* that may take *unit*."""
        work = self._work
        usage = float(work.units.cpu_usage[unit])
        memory = work.units.need[placement.MEMORY_MIB, unit]
        fits = work.state.room[placement.MEMORY_MIB, hosts] >= memory - _SLACK
        fits &= work.state.cores[hosts] + usage <= self._limit[hosts] + _SLACK
        hosts = hosts[fits]
        if not len(hosts):
            return hosts
        row = np.array((unit,), np.int32)
        found: columns.Ints = hosts[work.allowed(row, hosts)[0]]
        return found

    def _neighbours(self, unit: int) -> columns.Ints:
        hosts = self._work.neighbours(self._work.home(unit))
        active: columns.Ints = hosts[self.active[hosts]]
        return active

    def _place(self, unit: int, but: int = -1) -> bool:
        """Move *unit* where it leaves the least memory."""
        work = self._work
        hosts = self._neighbours(unit)
        hosts = self._fits(unit, hosts[hosts != but])
        if not len(hosts):
            return False
        room = work.state.room[placement.MEMORY_MIB, hosts]
        tight = hosts[room <= room.min() + _SLACK]
        destination = work.best(unit, tight)
        why = reasons.standing(work, unit, destination)
        work.move(unit, destination, why)
        return True

    def _push(self, unit: int) -> bool:
        """Make room for *unit* by one smaller unit that goes elsewhere."""
        work = self._work
        hosts = self._neighbours(unit)
        room = work.state.room[placement.MEMORY_MIB]
        memory = work.units.need[placement.MEMORY_MIB]
        roomiest = hosts[np.argsort(-room[hosts], kind='stable')]
        for host in work.preferred(unit, roomiest).tolist():
            others = work.units_on(host)
            lacking = memory[unit] - room[host]
            enough = memory[others] >= lacking - _SLACK
            others = others[enough & (memory[others] < memory[unit])]
            smallest = others[np.argsort(memory[others], kind='stable')]
            for other in smallest[:_TRIES].tolist():
                if self._swap(unit, other, host):
                    return True
        return False

    def _swap(self, unit: int, other: int, host: int) -> bool:
        """Move *other* away from *host* and *unit* there, or neither."""
        work = self._work
        first = len(work.steps)
        if not work.may_move(other) or not self._place(other, but=host):
            return False
        target = self._fits(unit, np.array((host,), np.int32))
        if len(target) and work.may_move(unit):
            why = reasons.standing(work, unit, host)
            work.move(unit, host, why)
            return True
        work.rewind(first)
        return False
