"""Destinations, coldest first: the hosts of every zone sorted by load.

Sorted again only once in a while. A host that has warmed up since is still a
host; one that has cooled down was a source and is seldom worth going to. So
searches look at few hosts a step, however many there are.
"""

import collections.abc

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import workspace

#: destinations that are looked at first, and by how much more then
_FIRST, _GROWTH = 32, 4
#: moves after which hosts are sorted again
_REFRESH = 16


class ColdHosts:
    """The hosts that may take anything, by zone and load."""

    def __init__(self, work: workspace.Workspace) -> None:
        self._work = work
        self._by_zone: dict[int, columns.Ints] = {}
        self._sorted_at = 0
        self._sort()

    def _sort(self) -> None:
        work = self._work
        zone = work.fleet.hosts.zone
        order = np.argsort(work.state.cpu_load, kind='stable')
        order = order[work.may_take[order]]
        order = order[np.argsort(zone[order], kind='stable')]
        sorted_hosts: columns.Ints = order.astype(np.int32)
        zones, first = np.unique(zone[sorted_hosts], return_index=True)
        parts = np.split(sorted_hosts, first[1:])
        self._by_zone = dict(zip(zones.tolist(), parts, strict=True))
        self._sorted_at = len(work.steps)

    def in_zone_of(self, host: int) -> columns.Ints:
        """Return the hosts of the zone of *host*, coldest first."""
        if len(self._work.steps) >= self._sorted_at + _REFRESH:
            self._sort()
        zone = int(self._work.fleet.hosts.zone[host])
        return self._by_zone.get(zone, np.zeros(0, np.int32))


def chunks(
    hosts: columns.Ints,
) -> collections.abc.Iterator[tuple[columns.Ints, columns.Ints]]:
    """Split *hosts* into parts that grow; with each, give what is after it.

    Most often the first part will do.
    """
    first, size = 0, _FIRST
    while first < len(hosts):
        last = first + size
        yield hosts[first:last], hosts[last:]
        first, size = last, size * _GROWTH
