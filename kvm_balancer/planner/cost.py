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
    rates = dirty_rates(fleet, corrections)
    made: dict[int, plan.Prediction] = {}
    drained = np.array(
        [one is plan.Profile.DRAIN for one in profiles or ()] or [False]
    )
    for term, both in terms.grouped(rows, here, there):
        for options, places in by_profile(
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
        found = predicted_columns(
            fleet, rows, link, granted, terms.manner, rates
        )
        return disks.added_to(found.rows())

    return prediction.either_way(predicted, options)


def by_profile(
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


def dirty_rates(
    fleet: columns.Fleet, corrections: correction.Corrections | None
) -> tuple[columns.Floats, columns.Floats]:
    """Return the dirty rates, and those of the cold part, as corrected.

    :param corrections: what past migrations have taught of them
    :returns: in MiB/s, shape ``(instances,)`` each
    """
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


def predicted_columns(
    fleet: columns.Fleet,
    rows: columns.Ints,
    link: flow.Flow,
    options: request.Options,
    manner: manners.Manner,
    rates: tuple[columns.Floats, columns.Floats],
) -> prediction.Columns:
    """Predict the memory of instances as columns, under the same options.

    :param rows: of the instances
    :param manner: of the policy that decides on convergence
    :param rates: see :func:`dirty_rates`
    """
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
