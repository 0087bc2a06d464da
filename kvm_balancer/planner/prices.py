"""Prices: what the moves of a plan count for in what it is sparing with.

Moves, GiB, or both. Where a move goes makes no difference to its own count,
but a slower network copies more of what is written meanwhile, and of places
that are as good for balance the one that is reached sooner is to win.
"""

import dataclasses

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import pace
from kvm_balancer.planner import workspace

#: cost of a move by itself, and of as many MiB as instances have on average
_COST = {
    contexts.Prefer.MOVES: (1.0, 0.001),
    contexts.Prefer.BALANCE: (1.5, 1.0),
    contexts.Prefer.GIB: (0.1, 1.0),
}


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """What it costs that units are not at home.

    :ivar units: over the full bandwidth of their hosts, shape ``(units,)``
    :ivar a_mib: what a MiB counts for
    """

    units: columns.Floats
    a_mib: float

    def more(self, units: columns.Ints, more: pace.More) -> columns.Floats:
        """Return what *units* cost more over slower networks.

        :returns: shape ``(units, hosts)``
        """
        found: columns.Floats = self.units[units][:, None] * more.dislike
        found += self.a_mib * more.mib
        return found


def of(work: workspace.Workspace, prefer: contexts.Prefer) -> Prices:
    """Return what counts for a plan that is sparing with *prefer*."""
    units = work.units
    average = float(units.mib.sum()) / max(1, int(units.size.sum()))
    each, carried = _COST[prefer]
    a_mib = carried / max(1.0, average)
    return Prices(each * units.size + a_mib * units.mib, a_mib)
