"""What migrations of all instances of a fleet would be like, wherever to.

Over which networks they can be migrated at all, what that costs in
core-seconds, and what it copies.
"""

import collections.abc
import dataclasses

import numpy as np

from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import correction
from kvm_balancer.migration.foresight import flow
from kvm_balancer.migration.foresight import prediction
from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import cost
from kvm_balancer.planner import disks as local_disks
from kvm_balancer.planner import networks
from kvm_balancer.planner import terms as termed

#: cores that a migration keeps busy, on both of its ends together
_BUSY_CORES = 2.0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What migrations of the instances of a fleet would be like.

    :ivar least_mib_s: what networks to each kind of hosts have to carry,
        shape ``(instances, kinds)``; 0 where the slowest there is will do,
        infinite where none will
    :ivar core_seconds: what the dearest of them costs hosts and guest over
        the full bandwidth of its host, shape ``(instances,)``; see
        :mod:`.worth`
    :ivar mib: what it copies then, of the same shape
    """

    least_mib_s: columns.Floats
    core_seconds: columns.Floats
    mib: columns.Floats


class Forecast:
    """Foretells migrations of instances of a fleet.

    An instance may go some ways that have options of their own: the dearest
    of them counts.

    :ivar networks: between the hosts
    :param corrections: what past migrations have taught of dirty rates, and
        of networks
    """

    def __init__(
        self,
        fleet: columns.Fleet,
        terms: termed.Terms,
        corrections: correction.Corrections | None = None,
    ) -> None:
        self._fleet, self._terms = fleet, terms
        self._rates = cost.dirty_rates(fleet, corrections)
        self.networks = networks.Networks(fleet, corrections)
        self._slowest = self.networks.slowest()
        # Ways are many where zones and aggregates cross; options are few.
        self._ways: dict[request.Options, list[tuple[columns.Ints, int]]] = {}
        for options, rows, kind in _ways(fleet, terms):
            self._ways.setdefault(options, []).append((rows, kind))
        #: who has which options, once that was asked
        self._has: dict[request.Options, columns.Bools] = {}

    def outlook(self) -> Outlook:
        """Say over which networks instances can be migrated at all.

        The full bandwidth of the host they are on is the most that any
        destination leaves them, and what they cost is what they do there.
        What is not in the zones of an instance's host is not looked at: the
        instance does not go there.
        """
        instances = self._fleet.instances
        least = np.full((len(instances), self._terms.kinds), np.inf)
        spent = np.zeros((2, len(instances)))
        answer = np.zeros(len(instances))
        for options, parts in self._ways.items():
            rows = _any_of((one for one, _ in parts), len(instances))
            bandwidth = self._fleet.hosts.migration_mib_s[instances.host[rows]]
            found = self._predicted(rows, bandwidth, options)
            answer[rows] = np.where(found.converges, 0.0, np.inf)
            can = np.flatnonzero(found.converges)
            answer[rows[can]] = networks.least(
                self._converges(rows[can], options),
                self._slowest[rows[can]],
                bandwidth[can],
            )
            here = self._spent(rows, bandwidth, options, found)
            spent[:, rows] = np.maximum(spent[:, rows], here)
            for part, kind in parts:
                least[part, kind] = answer[part]
        return Outlook(least, *spent)

    def over(
        self, rows: columns.Ints, mib_s: columns.Floats
    ) -> columns.Floats:
        """Return what migrations over networks of some speeds take.

        :param rows: of the instances
        :returns: core-seconds, and MiB that are copied, shape
            ``(2, len(rows))``
        """
        total = np.zeros((2, len(rows)))
        for options, parts in self._ways.items():
            if options not in self._has:
                self._has[options] = _marked(
                    (one for one, _ in parts), len(self._fleet.instances)
                )
            mine = np.flatnonzero(self._has[options][rows])
            if not len(mine):
                continue
            here, speed = rows[mine], mib_s[mine]
            found = self._predicted(here, speed, options)
            spent = self._spent(here, speed, options, found)
            total[:, mine] = np.maximum(total[:, mine], spent)
        return total

    def _predicted(
        self,
        rows: columns.Ints,
        mib_s: columns.Floats,
        options: request.Options,
    ) -> prediction.Columns:
        return cost.predicted_columns(
            self._fleet,
            rows,
            flow.Flow.steady(mib_s),
            options,
            self._terms.manner,
            self._rates,
        )

    def _converges(
        self, rows: columns.Ints, options: request.Options
    ) -> networks.Enough:
        """Say of instances, by places in *rows*, whether they converge."""

        def enough(
            places: columns.Ints, mib_s: columns.Floats
        ) -> columns.Bools:
            return self._predicted(rows[places], mib_s, options).converges

        return enough

    def _spent(
        self,
        rows: columns.Ints,
        mib_s: columns.Floats,
        options: request.Options,
        found: prediction.Columns,
    ) -> columns.Floats:
        """Return core-seconds and MiB of what was predicted, with disks."""
        disks = local_disks.copied(
            self._fleet, rows, flow.Flow.steady(mib_s), options
        )
        usage = self._fleet.instances.cpu_usage[rows]
        seconds = _core_seconds(found, usage) + _BUSY_CORES * disks.seconds
        return np.stack((seconds, found.mib + disks.mib))


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
    rates = cost.dirty_rates(fleet, corrections)
    most = instances.memory_usage_mib.copy()
    bandwidths = networks.Networks(fleet, corrections).all_met()
    for options, rows in _asked(fleet, terms).items():
        for bandwidth in bandwidths:
            link = flow.Flow.steady(bandwidth[rows])
            found = cost.predicted_columns(
                fleet, rows, link, options, terms.manner, rates
            )
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


def _any_of(
    parts: collections.abc.Iterable[columns.Ints], count: int
) -> columns.Ints:
    """Return the rows that are in any of *parts*, in order, each once.

    To sort or hash hundreds of thousands takes longer than to mark them.
    """
    return np.flatnonzero(_marked(parts, count)).astype(np.int32)


def _marked(
    parts: collections.abc.Iterable[columns.Ints], count: int
) -> columns.Bools:
    found = np.zeros(count, np.bool_)
    for rows in parts:
        found[rows] = True
    return found


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
                    for options, part in cost.by_profile(
                        term.options, mine[places], leaving[mine[places]]
                    ):
                        yield options, part, other
