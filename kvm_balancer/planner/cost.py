"""What a move costs: the prediction of its migration."""

import collections.abc

import numpy as np

from kvm_balancer.migration import prediction
from kvm_balancer.migration import request
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan
from kvm_balancer.planner import terms as termed


def predict(
    fleet: columns.Fleet,
    instances: collections.abc.Sequence[int],
    sources: collections.abc.Sequence[int],
    destinations: collections.abc.Sequence[int],
    terms: termed.Terms,
) -> list[plan.Prediction]:
    """Predict the migration of each of *instances*, all by row."""
    rows, here, there = (
        np.array(one, np.int32) for one in (instances, sources, destinations)
    )
    bandwidth = np.minimum(
        fleet.hosts.migration_mib_s[here], fleet.hosts.migration_mib_s[there]
    )
    made: dict[int, plan.Prediction] = {}
    for term, places in terms.grouped(rows, here, there):
        found = _predicted(
            fleet, rows[places], bandwidth[places], term.options
        )
        made.update(zip(places.tolist(), _records(found), strict=True))
    return [made[place] for place in range(len(rows))]


def converges(fleet: columns.Fleet, terms: termed.Terms) -> columns.Bools:
    """Say which instances can be migrated at all to which kinds of hosts.

    At the full bandwidth of the host they are on, which is the most that
    any destination leaves them. What is not in the zones of an instance's
    host is not looked at: the instance does not go there.

    :returns: shape ``(instances, kinds)``
    """
    instances = fleet.instances
    possible = np.zeros((len(instances), terms.kinds), np.bool_)
    if not len(instances):
        return possible
    rows = np.arange(len(instances), dtype=np.int32)
    for kind in range(terms.kinds):
        # Of each of them there is at least one host.
        mine = rows[terms.kind[instances.host] == kind]
        done: dict[tuple[int, request.Options], columns.Bools] = {}
        for other in terms.neighbours(kind):
            there = np.full_like(mine, np.argmax(terms.kind == other))
            for group, (term, places) in enumerate(
                terms.grouped(mine, instances.host[mine], there)
            ):
                if term.refused:
                    continue
                key = (group, term.options)
                if key not in done:
                    found = mine[places]
                    bandwidth = fleet.hosts.migration_mib_s[
                        instances.host[found]
                    ]
                    done[key] = _predicted(
                        fleet, found, bandwidth, term.options
                    ).converges
                possible[mine[places], other] = done[key]
    return possible


def _predicted(
    fleet: columns.Fleet,
    rows: columns.Ints,
    bandwidth_mib_s: columns.Floats,
    options: request.Options,
) -> prediction.Columns:
    return prediction.predict_columns(
        fleet.instances.memory_usage_mib[rows],
        fleet.instances.dirty_rate_mib_s[rows],
        bandwidth_mib_s,
        None,
        options,
    )


def _records(
    found: prediction.Columns,
) -> collections.abc.Iterator[plan.Prediction]:
    for seconds, downtime_ms, mib, post_copy in zip(
        found.seconds.tolist(),
        found.downtime_ms.tolist(),
        found.mib.tolist(),
        found.post_copy.tolist(),
        strict=True,
    ):
        yield plan.Prediction(
            seconds,
            downtime_ms,
            mib,
            plan.Mode.POST_COPY if post_copy else plan.Mode.PRE_COPY,
        )
