"""Destinations, coldest first, however many hosts there are.

The hosts of every zone are sorted by load, and sorted again only once in a
while: a host that has warmed up since is still a host, and one that has
cooled down was a source and is seldom worth going to.

The coldest hosts soon are those that nothing fits on any more. So hosts are
also put into classes by the memory they have left, and a *tier* of a zone
is made of the coldest few of every class: an instance of any size finds its
best place in the first tier, or can tell that a better one may be further
back.
"""

import collections.abc
import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import workspace

#: destinations that are looked at first, and by how much more then
_FIRST, _GROWTH = 32, 4
#: moves after which hosts are sorted again: at least, and by hosts
_REFRESH, _HOSTS_A_MOVE = 16, 128
#: hosts of every class of memory in the first tiers: at least, at most,
#: and one in so many of the zone
_LEAST, _MOST, _ONE_IN = 12, 32, 100
#: by how much a tier is wider than the one before, and how many there are
_WIDER, _TIERS = 6, 3
#: shares of the instances that bound the classes: each but the last class
#: has room for at least so many of them
_SHARES = (0.0, 0.25, 0.5, 0.7, 0.85, 0.95)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Tier:
    """The coldest hosts of every class of memory, but for earlier tiers.

    :ivar room_mib: the most memory left on a host of this tier or a later
        one, by class, ascending
    :ivar coldest: the least load of them, in a class or any with more
        room; as long as ``room_mib`` and one more, which is infinite
    """

    hosts: columns.Ints
    room_mib: columns.Floats
    coldest: columns.Floats

    def coldest_for(self, memory_mib: columns.Floats) -> columns.Floats:
        """Return the least load, from this tier on, where so much fits."""
        kind = np.searchsorted(self.room_mib, memory_mib, side='left')
        least: columns.Floats = self.coldest[kind]
        return least


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """The hosts of one zone that may take anything.

    :ivar hosts: coldest first
    :ivar tiers: all of them, in parts; the first is the narrowest
    """

    hosts: columns.Ints
    tiers: tuple[Tier, ...]


_NO_ZONE = Zone(np.zeros(0, np.int32), ())


class ColdHosts:
    """The hosts that may take anything, by zone and load."""

    def __init__(self, work: workspace.Workspace) -> None:
        self._work = work
        memory = work.units.need[placement.MEMORY_MIB, work.free]
        self._edges = (
            np.unique(np.quantile(memory, _SHARES))
            if len(memory)
            else np.zeros(1)
        )
        self._refresh = max(_REFRESH, len(work.fleet.hosts) // _HOSTS_A_MOVE)
        self._zones: dict[int, Zone] = {}
        self._sorted_at = 0
        self._sort()

    def _sort(self) -> None:
        work = self._work
        self._sorted_at = len(work.steps)
        if not work.may_take.any():
            return
        load = work.state.cpu_load
        zone = work.fleet.hosts.zone
        order = np.argsort(load, kind='stable')
        order = order[work.may_take[order]]
        order = order[np.argsort(zone[order], kind='stable')]
        sorted_hosts: columns.Ints = order.astype(np.int32)
        zones, first = np.unique(zone[sorted_hosts], return_index=True)
        parts = np.split(sorted_hosts, first[1:])
        self._zones = {
            name: self._zone(hosts, load)
            for name, hosts in zip(zones.tolist(), parts, strict=True)
        }

    def _zone(self, hosts: columns.Ints, load: columns.Floats) -> Zone:
        room = self._work.state.room[placement.MEMORY_MIB]
        kind = np.searchsorted(self._edges, room[hosts], side='right')
        classes = [
            hosts[kind == number] for number in range(len(self._edges) + 1)
        ]
        width = min(_MOST, max(_LEAST, len(hosts) // _ONE_IN))
        tiers: list[Tier] = []
        before = 0
        while len(tiers) < _TIERS - 1 and width * len(classes) < len(hosts):
            tiers.append(_tier(classes, before, width, room, load))
            before, width = width, width * _WIDER
        if before < max(map(len, classes)):
            tiers.append(_tier(classes, before, len(hosts), room, load))
        return Zone(hosts, tuple(tiers))

    def zone_of(self, host: int) -> Zone:
        """Return the zone of *host*, with the loads of a short while ago."""
        if len(self._work.steps) >= self._sorted_at + self._refresh:
            self._sort()
        zone = int(self._work.fleet.hosts.zone[host])
        return self._zones.get(zone, _NO_ZONE)


def _tier(
    classes: collections.abc.Sequence[columns.Ints],
    first: int,
    last: int,
    room: columns.Floats,
    load: columns.Floats,
) -> Tier:
    """Make a tier of the hosts from *first* to *last* of every class."""
    most, coldest = [], []
    for members in classes:
        behind = members[first:]
        if len(behind):
            most.append(float(room[behind].max()))
            coldest.append(float(load[behind[0]]))
    # a class is as cold as any that has more room
    least = np.array([*coldest, np.inf])[::-1]
    return Tier(
        hosts=np.concatenate([members[first:last] for members in classes]),
        room_mib=np.array(most),
        coldest=np.minimum.accumulate(least)[::-1],
    )


def chunks(
    hosts: columns.Ints,
) -> collections.abc.Iterator[columns.Ints]:
    """Split *hosts* into parts that grow: most often the first will do."""
    first, size = 0, _FIRST
    while first < len(hosts):
        yield hosts[first : first + size]
        first, size = first + size, size * _GROWTH
