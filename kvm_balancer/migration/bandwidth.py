"""How the migrations of one host share its bandwidth. Pure.

Max-min fair: who can use less than an equal share gets what it can use, and
what it leaves is shared by the others in the same way. A migration that has
the host to itself is not limited beyond its own limit, so that a host whose
bandwidth was stated too low is not held back by it.
"""

import collections.abc
import math


def shares(
    capacity_mib_s: float, caps: collections.abc.Mapping[str, float]
) -> dict[str, float]:
    """Share a capacity.

    :param caps: the most that each can use, MiB/s; 0 for all there is
    :returns: what each gets, MiB/s; together no more than the capacity
    """
    found: dict[str, float] = {}
    left = capacity_mib_s
    # who can use least is served first
    order = sorted(caps, key=lambda one: (caps[one] or math.inf, one))
    for served, name in enumerate(order):
        equal = left / (len(order) - served)
        found[name] = min(caps[name] or math.inf, equal)
        left -= found[name]
    return found


def limits(
    capacity_mib_s: float, caps: collections.abc.Mapping[str, float]
) -> dict[str, int]:
    """Return the limit to be set for each, in whole MiB/s; 0 for none.

    No limit is below 1 MiB/s, since 0 means none.
    """
    if len(caps) == 1:
        return {name: _whole(cap) for name, cap in caps.items()}
    return {
        name: max(1, _whole(share))
        for name, share in shares(capacity_mib_s, caps).items()
    }


def _whole(mib_s: float) -> int:
    """Round down, but a limit never to none."""
    return max(1, math.floor(mib_s)) if mib_s > 0 else 0
