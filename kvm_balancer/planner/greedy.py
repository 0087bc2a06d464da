"""Descent: the best single move again and again, until the target.

The gain of a move is the closed-form change of the sum of squared distances
from the mean load. With :math:`x` the distance of a host's load from the
mean, :math:`u` the load an instance puts on a host, and :math:`n` hosts,
a move from :math:`s` to :math:`d` gains

    2 u_s x_s - u_s^2  -  2 u_d x_d - u_d^2  +  (u_d - u_s)^2 / n

which is computed for all units of a source against many destinations as one
array. Hosts wait in a heap by what they promised last; only the one on top
is evaluated again. A promise can only shrink while its source cools down and
the destinations warm up, so the top is the best move there is (a destination
that became cooler meanwhile is seen when its host comes up again).

Destinations are looked at coldest first, those in front of the others (see
:mod:`.cold`); the others only where one could be better. So the cost of a
step does not grow with the fleet.
"""

import heapq

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import cold
from kvm_balancer.planner import reasons
from kvm_balancer.planner import score
from kvm_balancer.planner import workspace

#: a move that gains this share of what the next host promises is taken at
#: once: promises are hardly ever kept to the full
_GOOD_ENOUGH = 0.98
#: gains below it are noise of the arithmetic
_LEAST_GAIN = 1e-9


class Descent:
    """One descent on a workspace.

    :ivar spread: the spread of CPU load as it is now
    """

    def __init__(
        self, work: workspace.Workspace, explain: bool = False
    ) -> None:
        """Begin where *work* is.

        :param explain: say of every move what its destination has before
            others; not worth the time where moves are sorted out later
        """
        self.work = work
        self._explain = explain
        self.spread = score.RunningSpread(work.state)
        hosts = work.fleet.hosts
        self._cpus = hosts.cpus
        self._largest = float(hosts.cpus.max(initial=1.0))
        self._weight = work.fleet.counted.astype(np.float64)
        self._count = max(1.0, float(self._weight.sum()))
        self._load = work.state.cpu_load
        exponent = work.context.prefer.cost_exponent
        mib = np.maximum(work.units.mib / work.units.size, 1.0)
        self._price = work.units.size * mib**exponent
        self._useful = work.units.cpu_usage > 0
        self._changed = np.zeros(len(hosts), np.int64)
        self._cold = cold.ColdHosts(work)

    def run(self, target: float) -> None:
        """Move until the spread is at most *target*, or nothing helps."""
        heap = self._promises()
        done = len(self.work.steps)
        while heap and self.spread.stddev > target:
            if self.work.spent:
                return
            promise, host, seen, unit, destination = heapq.heappop(heap)
            if unit < 0 or seen < max(
                self._changed[host], self._changed[destination]
            ):
                found = self._best(host)
                if found is None:
                    continue
                gain, unit, destination = found
                promise = -gain
                if heap and gain < _GOOD_ENOUGH * -heap[0][0]:
                    entry = (promise, host, done, unit, destination)
                    heapq.heappush(heap, entry)
                    continue
            if not self.work.may_move(unit):
                continue
            self.apply(unit, host, destination)
            done += 1
            self._changed[host] = self._changed[destination] = done
            heapq.heappush(heap, (promise, host, done - 1, -1, -1))

    def apply(self, unit: int, source: int, destination: int) -> None:
        """Carry one move out on the workspace."""
        why = ''
        if self._explain:
            why = reasons.standing(self.work, unit, destination)
        self.work.move(unit, destination, why)
        for host in (source, destination):
            self.spread.update(self.work.state, host)
            self._load[host] = self.work.state.cores[host] / self._cpus[host]

    def _promises(self) -> list[tuple[float, int, int, int, int]]:
        """Return a heap of upper bounds of what each host can gain."""
        work = self.work
        rows = np.flatnonzero(work.free & self._useful).astype(np.int32)
        if not len(rows):
            return []
        hosts = work.fleet.hosts
        home = work.state.host[work.units.first(rows)]
        # no destination is better than an idle one with the most cores
        largest = self._largest
        coldest = float(self._load.min()) - self.spread.mean
        usage = work.units.cpu_usage[rows]
        bound = self._gain(
            usage, home, usage / largest, np.full_like(usage, coldest)
        )
        bound = bound / self._price[rows]
        best = np.full(len(hosts), -np.inf)
        np.maximum.at(best, home, bound)
        heap = [
            (-float(best[host]), host, 0, -1, -1)
            for host in np.flatnonzero(best > _LEAST_GAIN).tolist()
        ]
        heapq.heapify(heap)
        return heap

    def _gain(
        self,
        usage: columns.Floats,
        source: columns.Ints | int,
        added: columns.Floats,
        distance: columns.Floats,
        weight: columns.Floats | float = 1.0,
    ) -> columns.Floats:
        """Return the gain of moving *usage* cores from *source*.

        :param added: load that it puts on the destination
        :param distance: of the destination's load from the mean
        :param weight: 0 for destinations that do not count
        """
        away = self._load[source] - self.spread.mean
        counts = self._weight[source]
        taken = usage / self._cpus[source]
        left: columns.Floats = counts * taken * (2.0 * away - taken)
        came = weight * added * (2.0 * distance + added)
        shift = weight * added - counts * taken
        gain: columns.Floats = left - came + shift * shift / self._count
        return gain

    def _best(self, source: int) -> tuple[float, int, int] | None:
        """Return the best move away from *source*: gain, unit, host."""
        work = self.work
        units = work.units_on(source)
        units = units[self._useful[units]]
        if not len(units):
            return None
        zone = self._cold.zone_of(source)
        best = max(
            (_LEAST_GAIN, -1, -1), self._block(units, source, zone.front)
        )
        units = units[self._behind(units, source, zone) > best[0]]
        if len(units):
            best = max(best, self._block(units, source, zone.hosts))
        return best if best[1] >= 0 else None

    def _block(
        self, units: columns.Ints, source: int, hosts: columns.Ints
    ) -> tuple[float, int, int]:
        """Return the best move of *units* to one of *hosts*."""
        if not len(hosts):
            return -np.inf, -1, -1
        work = self.work
        usage = work.units.cpu_usage[units][:, None]
        gain = self._gain(
            usage,
            source,
            usage / self._cpus[hosts],
            self._load[hosts] - self.spread.mean,
            self._weight[hosts],
        )
        gain = gain / self._price[units][:, None]
        gain[:, hosts == source] = -np.inf
        gain[~work.allowed(units, hosts)] = -np.inf
        at = int(gain.argmax())
        row, column = divmod(at, len(hosts))
        best = float(gain[row, column])
        even = np.flatnonzero(gain[row] >= best - _LEAST_GAIN)
        chosen = int(hosts[column])
        if len(even) > 1 and best > _LEAST_GAIN:
            chosen = work.best(int(units[row]), hosts[even])
        return best, int(units[row]), chosen

    def _behind(
        self, units: columns.Ints, source: int, zone: cold.Zone
    ) -> columns.Floats:
        """Return what units can gain at most behind the front of *zone*.

        :returns: for each of *units*
        """
        usage = self.work.units.cpu_usage[units]
        memory = self.work.units.need[placement.MEMORY_MIB, units]
        coldest = zone.behind(memory)
        gain = self._gain(
            usage,
            source,
            usage / self._largest,
            np.where(np.isfinite(coldest), coldest, 0.0) - self.spread.mean,
        )
        most: columns.Floats = gain / self._price[units]
        return np.where(np.isfinite(coldest), most, -np.inf)
