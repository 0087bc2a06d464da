"""What a move costs: the prediction of its migration."""

import collections.abc
import dataclasses

import numpy as np

from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import manner as manners
from kvm_balancer.migration.foresight import correction
from kvm_balancer.migration.foresight import flow
from kvm_balancer.migration.foresight import prediction
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan
from kvm_balancer.planner import disks as local_disks
from kvm_balancer.planner import networks
from kvm_balancer.planner import terms as termed


def predict(
    fleet: columns.Fleet,
    instances: collections.abc.Sequence[int],
    sources: collections.abc.Sequence[int],
    destinations: collections.abc.Sequence[int],
    terms: termed.Terms,
    corrections: correction.Corrections | None = None,
    profiles: collections.abc.Sequence[plan.Profile] | None = None,
) -> list[plan.Prediction]:
    """Predict the migration of each of *instances*, all by row.

    :param corrections: what past migrations have taught
    :param profiles: of each; None where all are as the options have it
    """
    rows, here, there = (
        np.array(one, np.int32) for one in (instances, sources, destinations)
    )
    bandwidth = np.minimum(
        fleet.hosts.migration_mib_s[here], fleet.hosts.migration_mib_s[there]
    )
    hosts = fleet.hosts.name
    ends = [
        (hosts[source], hosts[destination])
        for source, destination in zip(
            here.tolist(), there.tolist(), strict=True
        )
    ]
    if corrections is not None:
        bandwidth = np.minimum(bandwidth, corrections.bandwidths_mib_s(ends))
    rates = _rates(fleet, corrections)
    made: dict[int, plan.Prediction] = {}
    drained = np.array(
        [one is plan.Profile.DRAIN for one in profiles or ()] or [False]
    )
    for term, both in terms.grouped(rows, here, there):
        for options, places in _by_profile(
            term.options, both, np.broadcast_to(drained, rows.shape)[both]
        ):
            group = _each(
                fleet, rows[places], bandwidth[places], options, terms, rates
            )
            made.update(zip(places.tolist(), group, strict=True))
    found = [made[place] for place in range(len(rows))]
    if corrections is None:
        return found
    ids = [fleet.instances.id[row] for row in rows.tolist()]
    return corrections.correct_all(ids, ends, found, fleet.taken_at)


def _each(
    fleet: columns.Fleet,
    rows: columns.Ints,
    bandwidth: columns.Floats,
    options: request.Options,
    terms: termed.Terms,
    rates: tuple[columns.Floats, columns.Floats],
) -> list[plan.Prediction]:
    """Predict those that have the same options, with their disks."""
    link = flow.Flow.steady(bandwidth)
    disks = local_disks.copied(fleet, rows, link, options)

    def predicted(granted: request.Options) -> prediction.Rows:
        found = _predicted(fleet, rows, link, granted, terms.manner, rates)
        return disks.added_to(found.rows())

    return prediction.either_way(predicted, options)


#: cores that a migration keeps busy, on both of its ends together
_BUSY_CORES = 2.0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What migrations of the instances of a fleet would be like.

    :ivar least_mib_s: what networks to each kind of hosts have to carry,
        shape ``(instances, kinds)``; 0 where the slowest there is will do,
        infinite where none will
    :ivar core_seconds: what the dearest of them costs hosts and guest, shape
        ``(instances,)``; see :mod:`.worth`
    """

    least_mib_s: columns.Floats
    core_seconds: columns.Floats


def outlook(
    fleet: columns.Fleet,
    terms: termed.Terms,
    corrections: correction.Corrections | None = None,
) -> Outlook:
    """Say over which networks instances can be migrated at all.

    The full bandwidth of the host they are on is the most that any
    destination leaves them, and what they cost is what they do there. What
    is not in the zones of an instance's host is not looked at: the instance
    does not go there.

    :param corrections: what past migrations have taught of dirty rates, and
        of networks
    """
    rates = _rates(fleet, corrections)
    instances = fleet.instances
    least = np.full((len(instances), terms.kinds), np.inf)
    slowest = networks.Networks(fleet, corrections).slowest()
    spent = np.zeros(len(instances))
    # Ways are many where zones and aggregates cross; options are few.
    asked: dict[request.Options, list[tuple[columns.Ints, int]]] = {}
    for options, rows, kind in _ways(fleet, terms):
        asked.setdefault(options, []).append((rows, kind))
    answer = np.zeros(len(instances))
    for options, parts in asked.items():
        rows = _any_of([one for one, _ in parts], len(instances))
        bandwidth = fleet.hosts.migration_mib_s[instances.host[rows]]
        link = flow.Flow.steady(bandwidth)
        found = _predicted(fleet, rows, link, options, terms.manner, rates)
        answer[rows] = np.where(found.converges, 0.0, np.inf)
        can = np.flatnonzero(found.converges)
        answer[rows[can]] = networks.least(
            _converges(fleet, rows[can], options, terms.manner, rates),
            slowest[rows[can]],
            bandwidth[can],
        )
        usage = instances.cpu_usage[rows]
        disks = local_disks.copied(fleet, rows, link, options)
        spent[rows] = np.maximum(
            spent[rows],
            _core_seconds(found, usage) + _BUSY_CORES * disks.seconds,
        )
        for part, kind in parts:
            least[part, kind] = answer[part]
    return Outlook(least, spent)


def _converges(
    fleet: columns.Fleet,
    rows: columns.Ints,
    options: request.Options,
    manner: manners.Manner,
    rates: tuple[columns.Floats, columns.Floats],
) -> networks.Enough:
    """Say of instances, by their places in *rows*, whether they converge."""

    def enough(places: columns.Ints, mib_s: columns.Floats) -> columns.Bools:
        asked, link = rows[places], flow.Flow.steady(mib_s)
        return _predicted(fleet, asked, link, options, manner, rates).converges

    return enough


def _any_of(
    parts: collections.abc.Iterable[columns.Ints], count: int
) -> columns.Ints:
    """Return the rows that are in any of *parts*, in order, each once.

    To sort or hash hundreds of thousands takes longer than to mark them.
    """
    found = np.zeros(count, np.bool_)
    for rows in parts:
        found[rows] = True
    return np.flatnonzero(found).astype(np.int32)


def most_copied_mib(
    fleet: columns.Fleet,
    terms: termed.Terms,
    corrections: correction.Corrections | None = None,
) -> columns.Floats:
    """Return what the migration of each instance copies at most.

    Wherever it goes: over the slowest network it may meet, by its options,
    and by what past migrations taught; with disks that are copied. No less
    than its memory in use.

    :returns: shape ``(instances,)``
    """
    instances = fleet.instances
    rates = _rates(fleet, corrections)
    most = instances.memory_usage_mib.copy()
    bandwidths = networks.Networks(fleet, corrections).all_met()
    for options, rows in _asked(fleet, terms).items():
        for bandwidth in bandwidths:
            link = flow.Flow.steady(bandwidth[rows])
            found = _predicted(fleet, rows, link, options, terms.manner, rates)
            mib = found.mib
            if corrections is not None:
                ids = [instances.id[row] for row in rows.tolist()]
                mib = mib * corrections.mib_factors(
                    ids, found.post_copy, fleet.taken_at
                )
            disks = local_disks.copied(fleet, rows, link, options)
            most[rows] = np.maximum(most[rows], mib + disks.mib)
    return most


def _asked(
    fleet: columns.Fleet, terms: termed.Terms
) -> dict[request.Options, columns.Ints]:
    """Return who may migrate with which options, whichever way."""
    parts: dict[request.Options, list[columns.Ints]] = {}
    for options, rows, _ in _ways(fleet, terms):
        parts.setdefault(options, []).append(rows)
    return {
        options: _any_of(rows, len(fleet.instances))
        for options, rows in parts.items()
    }


def _core_seconds(
    found: prediction.Columns, usage: columns.Floats
) -> columns.Floats:
    """Return what migrations cost hosts and guests.

    :param usage: cores that the guests use
    """
    suffers = found.throttled | found.post_copy
    seconds = np.where(np.isfinite(found.seconds), found.seconds, 0.0)
    spent: columns.Floats = _BUSY_CORES * seconds
    spent += usage * (found.downtime_ms / 1000.0 + suffers * seconds)
    return spent


def _ways(
    fleet: columns.Fleet, terms: termed.Terms
) -> collections.abc.Iterator[tuple[request.Options, columns.Ints, int]]:
    """Go through the kinds of hosts, and those near them.

    Who is on a host that is drained goes by the profile of drains.

    :returns: options, the instances that have them, the kind they could go
        to; without those whose wishes cannot be heeded
    """
    instances = fleet.instances
    rows = np.arange(len(instances), dtype=np.int32)
    home = terms.kind[instances.host]
    draining = fleet.hosts.state == columns.HostState.DRAINING
    leaving: columns.Bools = draining[instances.host]
    for kind in np.unique(home).tolist():
        mine = rows[home == kind]
        for other in terms.neighbours(kind):
            # Of each kind there is at least one host.
            there = np.full_like(mine, np.argmax(terms.kind == other))
            for term, places in terms.grouped(
                mine, instances.host[mine], there
            ):
                if not term.refused:
                    for options, part in _by_profile(
                        term.options, mine[places], leaving[mine[places]]
                    ):
                        yield options, part, other


def _by_profile(
    options: request.Options, rows: columns.Ints, drained: columns.Bools
) -> collections.abc.Iterator[tuple[request.Options, columns.Ints]]:
    """Tell apart who has to go, and is tried for longer.

    :param drained: whether it is a drain that moves each of *rows*
    """
    draining = dataclasses.replace(options, profile=request.Profile.DRAIN)
    for chosen, part in (
        (options, rows[~drained]),
        (draining, rows[drained]),
    ):
        if len(part):
            yield chosen, part


def _rates(
    fleet: columns.Fleet, corrections: correction.Corrections | None
) -> tuple[columns.Floats, columns.Floats]:
    """Return the dirty rates, and those of the cold part, as corrected."""
    instances = fleet.instances
    hot, cold = instances.dirty_rate_mib_s, instances.cold_rate_mib_s
    known = {} if corrections is None else corrections.dirtying(fleet.taken_at)
    if not known:
        return hot, cold
    factors = np.ones(len(instances))
    for instance, factor in known.items():
        if instance in fleet.instance_row:
            factors[fleet.instance_row[instance]] = factor
    return hot * factors, cold * factors


def _predicted(
    fleet: columns.Fleet,
    rows: columns.Ints,
    link: flow.Flow,
    options: request.Options,
    manner: manners.Manner,
    rates: tuple[columns.Floats, columns.Floats],
) -> prediction.Columns:
    hot, cold = rates
    return prediction.predict_columns(
        fleet.instances.memory_usage_mib[rows],
        hot[rows],
        link,
        fleet.instances.hot_set_mib[rows],
        options,
        cold[rows],
        fleet.instances.cpu_usage[rows],
        manner,
    )
