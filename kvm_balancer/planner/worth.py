"""Whether a move is worth what it costs.

Both sides are counted in core-seconds. A migration keeps about one core busy
on either end for as long as it takes; the guest loses what it would have
used while it stands still; and one that is slowed down, or runs on while its
memory is still coming, loses up to all of that meanwhile. What a move brings
lasts for as long as the load is expected to stay as it is: for
``horizon_seconds``.

Where balance is what is wanted, a move that lowers the sum of squared
distances from the mean by *g* brings *g* times the cores of its host: an
instance of *u* cores that leaves a host for one whose load is lower by *d*
brings about *2 u d*, which is what it takes from a host above where it
should be, times how far.

The margin between the two is set by one number, from 1 (what has to be done
and nothing else) to 5 (the slightest gain). An instance that was moved a
short while ago has to be worth more: that ends ping-pong.
"""

import dataclasses
from typing import Final

import numpy as np

from kvm_balancer.model import fleet as columns

#: eagerness at which only what is mandatory is done, and the highest
LEAST_EAGER: Final = 1
MOST_EAGER: Final = 5
#: benefit over cost that a move has to bring, by eagerness
_MARGIN: Final = {1: float('inf'), 2: 10.0, 3: 3.0, 4: 1.0, 5: 0.0}
#: share of its cores that an idle host draws power for
_IDLE_SHARE: Final = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """What a move has to be worth.

    :ivar eagerness: 1 to 5
    :ivar horizon_seconds: for how long loads are expected to stay so
    :ivar undo_factor: what was moved a short while ago has to be worth so
        many times as much
    """

    eagerness: int = 3
    horizon_seconds: float = 3600.0
    undo_factor: float = 4.0

    @property
    def reserved(self) -> bool:
        """True where only what is mandatory is done."""
        return self.eagerness <= LEAST_EAGER

    @property
    def margin(self) -> float:
        """Benefit over cost that a move has to bring."""
        return _MARGIN[self.eagerness]


class Worth:
    """What units of a fleet have to be worth to be moved.

    :ivar cost: core-seconds with the margin, shape ``(units,)``
    :ivar least_gain: of the sum of squared distances, shape ``(units,)``
    """

    def __init__(
        self,
        cost: columns.Floats,
        cpus: columns.Floats,
        params: Params,
        strictness: float = 1.0,
    ) -> None:
        """Prepare.

        :param cost: core-seconds that it takes to move each unit
        :param cpus: of the host that each unit is on
        :param strictness: by how much the margin is raised
        """
        margin = params.margin * strictness
        self.cost: columns.Floats = (
            cost * margin if margin else np.zeros_like(cost)
        )
        self._margin = margin
        self._horizon = max(params.horizon_seconds, 1e-9)
        self._lasting: columns.Floats = cpus * self._horizon
        self.least_gain: columns.Floats = self.cost / self._lasting

    def least_gain_on(
        self, units: columns.Ints, more: columns.Floats
    ) -> columns.Floats:
        """Return the least gain of *units* on hosts where they cost more.

        :param more: core-seconds, shape ``(units, hosts)``
        """
        least: columns.Floats = self.least_gain[units][:, None] + (
            self._dearer(more) / self._lasting[units][:, None]
        )
        return least

    def lost(
        self, units: columns.Ints, more: columns.Floats
    ) -> columns.Floats:
        """Return the gain that so many core-seconds *more* are worth."""
        gain: columns.Floats = more / self._lasting[units][:, None]
        return gain

    def relieving(
        self,
        units: columns.Ints,
        usage: columns.Floats,
        cores: float,
        more: columns.Floats,
    ) -> columns.Bools:
        """Say which of *units* are worth moving off a host over its limit.

        :param usage: cores that each of them uses
        :param cores: that the host has in use over the limit: no unit
            relieves it of more
        :param more: core-seconds that it takes more than over the full
            bandwidth of the host, shape ``(units, hosts)``
        :returns: of that shape
        """
        relief = np.minimum(usage, cores) * self._horizon
        cost = self.cost[units][:, None] + self._dearer(more)
        worthy: columns.Bools = relief[:, None] >= cost
        return worthy

    def emptying(
        self, units: columns.Ints, cpus: float, more: float = 0.0
    ) -> bool:
        """Say whether an empty host is worth moving all of *units*.

        :param cpus: of the host
        :param more: core-seconds that it takes more than over its full
            bandwidth, of all of them
        """
        worth = _IDLE_SHARE * cpus * self._horizon
        cost = float(self.cost[units].sum()) + float(self._dearer(more))
        return cost <= worth

    def _dearer(self, more: columns.Floats | float) -> columns.Floats:
        """Return *more* core-seconds with the margin; no margin has 0."""
        some = np.asarray(more, np.float64)
        none = np.zeros_like(some)
        return np.multiply(some, self._margin, out=none, where=some > 0)
