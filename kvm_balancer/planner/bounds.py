"""How good any plan can be: proven, not guessed.

Each bound drops some of the rules (room, groups, indivisible instances) and
answers the easier question exactly, so no plan under the rules does better.
"""

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement

#: steps of a bisection: enough for every digit of a float
_BISECTIONS = 60


def _fixed_cores(
    state: placement.Placement, free: columns.Bools
) -> columns.Floats:
    """Return the cores of every host that no plan takes away from it."""
    usage = state.fleet.instances.cpu_usage
    leaving = np.bincount(
        state.host[free],
        weights=usage[free],
        minlength=len(state.fleet.hosts),
    )
    fixed: columns.Floats = state.cores - leaving
    return fixed


def peak(
    state: placement.Placement, free: columns.Bools, drained: bool = False
) -> float:
    """Return the CPU load under which no plan brings the highest.

    The mean over the hosts of a zone that are not draining of what they
    must carry; what is fixed on one host; and the largest instance on the
    largest host of its zone.

    :param free: instances that may be moved, shape ``(instances,)``
    :param drained: plans have to empty draining hosts; where they do not,
        what is there may stay, and counts for nobody
    """
    fleet = state.fleet
    hosts = fleet.hosts
    stays = fleet.counted
    fixed = _fixed_cores(state, free)
    highest = float((fixed / hosts.cpus)[stays].max(initial=0.0))
    must = free if drained else free & stays[state.host]
    usage = np.where(must, fleet.instances.cpu_usage, 0.0)
    zone_of = hosts.zone[state.host]
    for zone in range(len(fleet.zones)):
        inside = stays & (hosts.zone == zone)
        if not inside.any():
            continue
        moving = usage[zone_of == zone]
        total = float(fixed[inside].sum() + moving.sum())
        highest = max(highest, total / float(hosts.cpus[inside].sum()))
        largest = float(moving.max(initial=0.0))
        alone = (fixed + largest) / hosts.cpus
        highest = max(highest, float(alone[inside].min()))
    return highest


def spread(state: placement.Placement, free: columns.Bools) -> float | None:
    """Return the CPU spread under which no plan brings the fleet.

    Load is poured like water: within a zone every host gets the same level,
    but none less than what is fixed on it, and a host that takes nothing no
    more than it has. Zones keep their means.

    :returns: None where the mean itself may change: hosts of one zone with
        different numbers of cores, or load on draining hosts
    """
    fleet = state.fleet
    hosts = fleet.hosts
    if not _mean_is_fixed(state, free, fleet.counted):
        return None
    low = _fixed_cores(state, free) / hosts.cpus
    high = np.where(fleet.hosts.counted_on, np.inf, state.cpu_load)
    high = np.maximum(high, low)
    poured = state.cpu_load.copy()
    for zone in range(len(fleet.zones)):
        inside = fleet.counted & (hosts.zone == zone)
        if inside.any():
            poured[inside] = pour(
                low[inside], high[inside], float(poured[inside].sum())
            )
    return float(poured[fleet.counted].std())


def pour(
    low: columns.Floats,
    high: columns.Floats,
    total: float,
    size: columns.Floats | float = 1.0,
) -> columns.Floats:
    """Return the levels between *low* and *high* that add up to *total*.

    :param size: what a level counts for, by host
    """
    under, over = 0.0, max(total, float(low.max()))
    for _ in range(_BISECTIONS):
        middle = (under + over) / 2
        if float((size * np.clip(middle, low, high)).sum()) < total:
            under = middle
        else:
            over = middle
    levels: columns.Floats = np.clip(over, low, high)
    return levels


def _mean_is_fixed(
    state: placement.Placement, free: columns.Bools, counted: columns.Bools
) -> bool:
    """Say whether no move changes the mean load of the hosts that count."""
    fleet = state.fleet
    hosts = fleet.hosts
    if not len(hosts):
        return False
    usage = fleet.instances.cpu_usage
    # What is on a host that has gone silent stays there.
    free = free & ~hosts.silent[state.host]
    if (free & (usage > 0) & ~counted[state.host]).any():
        return False
    for zone in range(len(fleet.zones)):
        cpus = hosts.cpus[counted & (hosts.zone == zone)]
        if len(cpus) and float(cpus.min()) != float(cpus.max()):
            return False
    return True


def moves_to_limit(
    state: placement.Placement,
    free: columns.Bools,
    limit: float,
    among: columns.Bools | None = None,
) -> int | None:
    """Return the moves without which not every host gets under *limit*.

    For each host the smallest number of its largest movable instances that
    cover what it has too much; summed over hosts.

    :param among: hosts that are looked at; all by default
    :returns: None where even all of them do not suffice on some host: no
        plan reaches the limit
    """
    hosts = state.fleet.hosts
    excess = state.cores - limit * hosts.cpus
    excess = np.where(excess > 1e-6 * hosts.cpus, excess, 0.0)
    if among is not None:
        excess = np.where(among, excess, 0.0)
    usage = state.fleet.instances.cpu_usage
    least = moves_off(state, free, usage, excess)
    return None if least is None else int(least.sum())


def moves_off(
    state: placement.Placement,
    free: columns.Bools,
    usage: columns.Floats,
    excess: columns.Floats,
) -> columns.Ints | None:
    """Return the moves without which hosts keep what they have too much.

    :param usage: of what there is too much, shape ``(instances,)``
    :param excess: by host; none where it is not over 0
    :returns: for each host the smallest number of its largest movable
        instances that cover its excess; None where even all of them do not
        suffice on some host
    """
    count = len(state.fleet.hosts)
    least = np.zeros(count, np.int32)
    rows = np.flatnonzero(free)
    rows = rows[np.argsort(state.host[rows], kind='stable')]
    first = np.searchsorted(state.host[rows], np.arange(count + 1))
    for host in np.flatnonzero(excess > 0.0).tolist():
        mine = usage[rows[first[host] : first[host + 1]]]
        largest = np.cumsum(np.sort(mine)[::-1])
        enough = int(np.searchsorted(largest, excess[host] - 1e-9))
        if enough >= len(largest):
            return None
        least[host] = enough + 1
    return least


def moves_to_spread(
    state: placement.Placement,
    free: columns.Bools,
    target: float,
    among: columns.Bools | None = None,
) -> int | None:
    """Return the moves without which the spread stays over *target*.

    :param among: hosts that the spread is taken over; those of the fleet
        that count by default
    :returns: None where the mean itself may change (see :func:`spread`)
    """
    counted = state.fleet.counted if among is None else among
    if not _mean_is_fixed(state, free, counted):
        return None
    distance = _distance(state, counted)
    missing = float((distance**2).sum()) - target**2 * int(counted.sum())
    if missing <= 1e-12:
        return 0
    achieved = _achieved(state, free, distance)
    count = int(np.searchsorted(achieved, missing - 1e-9))
    return count + 1 if count < len(achieved) else None


def squares_after(
    state: placement.Placement,
    free: columns.Bools,
    moves: int,
    counted: columns.Bools,
) -> float:
    """Return the sum of squares that no plan of so many *moves* gets under.

    Of the distances of CPU loads from their mean.

    :param counted: hosts that they are taken over
    :returns: 0 where nothing is proven, as the mean itself may change
    """
    if not _mean_is_fixed(state, free, counted):
        return 0.0
    distance = _distance(state, counted)
    achieved = _achieved(state, free, distance)[:moves]
    most = float(achieved[-1]) if len(achieved) else 0.0
    return max(0.0, float((distance**2).sum()) - most)


def _distance(
    state: placement.Placement, counted: columns.Bools
) -> columns.Floats:
    """Return how far the load of each host is from the mean."""
    load = state.cpu_load
    found: columns.Floats = np.where(
        counted, load - float(load[counted].mean()), 0.0
    )
    return found


def _achieved(
    state: placement.Placement,
    free: columns.Bools,
    distance: columns.Floats,
) -> columns.Floats:
    """Return what 1, 2, 3... moves take off the sum of squares at most.

    A move helps on two hosts: the one it leaves, which nothing helps more
    than to lose its largest instances one after the other down to the mean;
    and the one it reaches, which nothing helps more than to get the largest
    instance of its zone time and again up to the mean. Both gains shrink
    with every move on a host, so the *k* best of each kind are more than
    any *k* moves achieve.
    """
    leaving = _gains_of_leaving(state, free, distance)
    reaching = _gains_of_reaching(state, free, distance)
    gains = np.zeros(max(len(leaving), len(reaching)))
    gains[: len(leaving)] += leaving
    gains[: len(reaching)] += reaching
    found: columns.Floats = np.cumsum(gains)
    return found


def _gains_of_leaving(
    state: placement.Placement,
    free: columns.Bools,
    distance: columns.Floats,
) -> columns.Floats:
    """Return the gains of departures from hot hosts, best first."""
    rows = np.flatnonzero(free & (distance[state.host] > 0))
    home = state.host[rows]
    share = (
        state.fleet.instances.cpu_usage[rows] / (state.fleet.hosts.cpus[home])
    )
    order = np.lexsort((-share, home))
    home, share = home[order], share[order]
    gone = np.cumsum(share)
    first = np.searchsorted(home, home)
    gone -= (gone - share)[first]
    left = np.maximum(0.0, distance[home] - gone)
    before = np.maximum(0.0, distance[home] - gone + share)
    return np.sort(before**2 - left**2)[::-1]


def _gains_of_reaching(
    state: placement.Placement,
    free: columns.Bools,
    distance: columns.Floats,
) -> columns.Floats:
    """Return the gains of arrivals at cold hosts, best first."""
    hosts = state.fleet.hosts
    zone_of = hosts.zone[state.host]
    gains = [np.zeros(0)]
    counted = hosts.counted_on
    for zone in range(len(state.fleet.zones)):
        inside = (distance < 0) & (hosts.zone == zone) & counted
        moving = state.fleet.instances.cpu_usage[free & (zone_of == zone)]
        largest = float(moving.max(initial=0.0))
        if largest <= 0:
            continue
        for host in np.flatnonzero(inside).tolist():
            share = largest / float(hosts.cpus[host])
            steps = np.arange(int(np.ceil(-distance[host] / share)) + 1)
            left = np.minimum(0.0, distance[host] + steps * share)
            gains.append(left[:-1] ** 2 - left[1:] ** 2)
    return np.sort(np.concatenate(gains))[::-1]
