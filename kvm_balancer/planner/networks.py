"""What the networks between hosts leave to migrations, in MiB/s.

The slower of both ends, and no more than was seen to be carried.
"""

import collections.abc

import numpy as np

from kvm_balancer.migration.foresight import correction
from kvm_balancer.model import fleet as columns

#: bandwidths of networks that are told apart in a zone in any case, and
#: predictions up to which all of them are
_SPEEDS, _PREDICTIONS = 16, 3_200_000
#: how often the span of bandwidths in which something ceases to be enough is
#: halved: to a thousandth of it
_HALVINGS = 10

#: Says which of some things, by row, bandwidths are enough for.
Enough = collections.abc.Callable[
    [columns.Ints, columns.Floats], columns.Bools
]


class Networks:
    """The networks between the hosts of a fleet.

    :param corrections: what past migrations have taught of them
    """

    def __init__(
        self,
        fleet: columns.Fleet,
        corrections: correction.Corrections | None = None,
    ) -> None:
        self._fleet = fleet
        self._speed = fleet.hosts.migration_mib_s
        self._corrections = corrections
        #: what is known to be carried, by rows of source and destination
        self._carried: dict[int, dict[int, float]] = {}
        carried = {} if corrections is None else corrections.carried_mib_s()
        for (source, destination), mib_s in carried.items():
            here = fleet.host_row.get(source)
            there = fleet.host_row.get(destination)
            if here is not None and there is not None:
                self._carried.setdefault(here, {})[there] = mib_s
        #: the least of it from each host, shape ``(hosts,)``
        self._seen = np.full(len(fleet.hosts), np.inf)
        for here, known in self._carried.items():
            self._seen[here] = min(known.values())

    def between(
        self, sources: columns.Ints, destinations: columns.Ints
    ) -> columns.Floats:
        """Return what is carried from each host to each other.

        :returns: shape ``(len(sources), len(destinations))``
        """
        found: columns.Floats = np.minimum(
            self._speed[sources][:, None], self._speed[destinations][None, :]
        )
        for row, source in enumerate(sources.tolist()):
            for there, mib_s in self._carried.get(source, {}).items():
                column = destinations == there
                found[row, column] = np.minimum(found[row, column], mib_s)
        return found

    def slowest(self) -> columns.Floats:
        """Return the least that instances may meet within their zones.

        :returns: shape ``(instances,)``
        """
        hosts = self._fleet.hosts
        in_zone = np.full(len(self._fleet.zones), np.inf)
        np.minimum.at(in_zone, hosts.zone, self._speed)
        least = np.minimum(self._speed, in_zone[hosts.zone])
        home = self._fleet.instances.host
        met: columns.Floats = np.minimum(least, self._seen)[home]
        return met

    def all_met(self) -> list[columns.Floats]:
        """Return the bandwidths that migrations may have, by instance.

        Those of the hosts of its zone, as far as its own host has them, and
        the slowest that is known to be carried. Slower is not always more to
        copy, so all of them count; where instances and speeds are too many
        for that, the slowest, its own, and some between them.
        """
        hosts, home = self._fleet.hosts, self._fleet.instances.host
        own = self._speed[home]
        most = max(_SPEEDS, _PREDICTIONS // max(1, len(home)))
        speeds = [
            _some(np.unique(self._speed[hosts.zone == zone]), most)
            for zone in range(len(self._fleet.zones))
        ]
        table = np.full(
            (len(speeds), max(map(len, speeds), default=0)), np.inf
        )
        for zone, found in enumerate(speeds):
            table[zone, : len(found)] = found
        zones = hosts.zone[home]
        met = [own, *(np.minimum(own, one[zones]) for one in table.T[:-1])]
        if self._carried:
            met.append(np.minimum(own, self._seen[home]))
        return met


def least(
    enough: Enough, slowest: columns.Floats, full: columns.Floats
) -> columns.Floats:
    """Return the least bandwidths that are enough, to a thousandth.

    :param enough: of what is enough, whatever is faster is, too
    :param slowest: that may be met, shape ``(n,)``
    :param full: that are enough for all, of the same shape
    :returns: 0 where the slowest are enough
    """
    found = np.zeros(len(slowest))
    every = np.arange(len(slowest), dtype=np.int32)
    slower = every[slowest < full]
    if not len(slower):
        return found
    picky = slower[~enough(slower, slowest[slower])]
    if not len(picky):
        return found
    low, high = slowest[picky], full[picky]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        does = enough(picky, middle)
        low = np.where(does, low, middle)
        high = np.where(does, middle, high)
    found[picky] = high
    return found


def _some(speeds: columns.Floats, most: int) -> columns.Floats:
    """Return at most so many of sorted *speeds*, both ends among them."""
    if len(speeds) <= most:
        return speeds
    kept = np.linspace(0, len(speeds) - 1, most).astype(np.int32)
    found: columns.Floats = speeds[kept]
    return found
