"""What the networks between hosts leave to migrations, in MiB/s.

The slower of both ends, and no more than was seen to be carried.
"""

import collections.abc
import functools
import math

import numpy as np
import numpy.typing as npt

from kvm_balancer.migration.foresight import correction
from kvm_balancer.model import fleet as columns

#: bandwidths of networks that are told apart in a zone in any case, and
#: predictions up to which all of them are
_SPEEDS, _PREDICTIONS = 16, 3_200_000
#: how often the span of bandwidths in which something ceases to be enough is
#: halved: to a thousandth of it
_HALVINGS = 10

#: logarithm of a step by which bandwidths are told apart
_A_STEP = math.log(1.1)
#: a bandwidth that is as good as none
_LEAST_MIB_S = 1e-3

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
        carried: dict[int, dict[int, float]] = {}
        known = {} if corrections is None else corrections.carried_mib_s()
        for (source, destination), mib_s in known.items():
            here = fleet.host_row.get(source)
            there = fleet.host_row.get(destination)
            if here is not None and there is not None:
                carried.setdefault(here, {})[there] = mib_s
        #: what is known to be carried from a host: destinations, MiB/s
        self._carried = {
            here: (
                np.fromiter(found.keys(), np.int32),
                np.fromiter(found.values(), np.float64),
            )
            for here, found in carried.items()
        }
        #: the least of it from each host, shape ``(hosts,)``
        self._seen = np.full(len(fleet.hosts), np.inf)
        for here, (_, found) in self._carried.items():
            self._seen[here] = found.min()
        #: logarithms of bandwidths, in steps
        self._scale: columns.Floats = (
            np.log(np.maximum(self._speed, _LEAST_MIB_S)) / _A_STEP
        )

    def between(
        self, sources: columns.Ints, destinations: columns.Ints
    ) -> columns.Floats:
        """Return what is carried from each host to each other.

        :returns: shape ``(len(sources), len(destinations))``
        """
        found: columns.Floats = np.minimum(
            self._speed[sources][:, None], self._speed[destinations][None, :]
        )
        for row, column, mib_s in self._known(sources, destinations):
            found[row, column] = np.minimum(found[row, column], mib_s)
        return found

    @functools.cached_property
    def alike(self) -> bool:
        """True where each host has its full bandwidth to all of its zone."""
        hosts = self._fleet.hosts
        fastest = np.zeros(len(self._fleet.zones))
        np.maximum.at(fastest, hosts.zone, self._speed)
        even = (self._speed == fastest[hosts.zone]).all()
        return bool(even and (self._seen >= self._speed).all())

    def slower(
        self, sources: columns.Ints, destinations: columns.Ints
    ) -> npt.NDArray[np.int16]:
        """Return how much less than the full bandwidth of hosts is carried.

        :returns: in steps (see :func:`slowed`), shape
            ``(len(sources), len(destinations))``
        """
        here, there = self._scale[sources], self._scale[destinations]
        less = np.maximum(here[:, None] - there[None, :], 0.0)
        for row, column, mib_s in self._known(sources, destinations):
            least = (
                here[row] - np.log(np.maximum(mib_s, _LEAST_MIB_S)) / _A_STEP
            )
            less[row, column] = np.maximum(less[row, column], least)
        steps: npt.NDArray[np.int16] = np.rint(less).astype(np.int16)
        return steps

    def _known(
        self, sources: columns.Ints, destinations: columns.Ints
    ) -> collections.abc.Iterator[tuple[int, columns.Ints, columns.Floats]]:
        """Go through what is known to be carried between some hosts.

        :param destinations: each of them once
        :returns: place of a source, places of destinations, MiB/s
        """
        if not self._carried:
            return
        place = np.full(len(self._speed), -1, np.int32)
        place[destinations] = np.arange(len(destinations))
        for row, source in enumerate(sources.tolist()):
            if source in self._carried:
                there, mib_s = self._carried[source]
                column = place[there]
                yield row, column[column >= 0], mib_s[column >= 0]

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


def slowed(mib_s: columns.Floats, steps: int) -> columns.Floats:
    """Return bandwidths that are so many steps slower, of a tenth each."""
    found: columns.Floats = mib_s * np.exp(-_A_STEP * steps)
    return found


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
