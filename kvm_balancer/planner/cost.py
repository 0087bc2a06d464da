"""What a move costs: the prediction of its migration."""

import collections.abc

import numpy as np

from kvm_balancer.migration import prediction
from kvm_balancer.migration import request
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan


def predict(
    fleet: columns.Fleet,
    instances: collections.abc.Sequence[int],
    sources: collections.abc.Sequence[int],
    destinations: collections.abc.Sequence[int],
    options: request.Options,
) -> list[plan.Prediction]:
    """Predict the migration of each of *instances*, all by row."""
    if not len(instances):
        return []
    found = prediction.predict_columns(
        fleet.instances.memory_usage_mib[list(instances)],
        fleet.instances.dirty_rate_mib_s[list(instances)],
        np.minimum(
            fleet.hosts.migration_mib_s[list(sources)],
            fleet.hosts.migration_mib_s[list(destinations)],
        ),
        None,
        options,
    )
    return [
        plan.Prediction(
            seconds,
            downtime_ms,
            mib,
            plan.Mode.POST_COPY if post_copy else plan.Mode.PRE_COPY,
        )
        for seconds, downtime_ms, mib, post_copy in zip(
            found.seconds.tolist(),
            found.downtime_ms.tolist(),
            found.mib.tolist(),
            found.post_copy.tolist(),
            strict=True,
        )
    ]


def converges(fleet: columns.Fleet, options: request.Options) -> columns.Bools:
    """Say which instances can be migrated under *options* at all.

    At the full bandwidth of the host they are on, which is the most that
    any destination leaves them.

    :returns: shape ``(instances,)``
    """
    instances = fleet.instances
    if not len(instances):
        return np.zeros(0, np.bool_)
    return prediction.predict_columns(
        instances.memory_usage_mib,
        instances.dirty_rate_mib_s,
        fleet.hosts.migration_mib_s[instances.host],
        None,
        options,
    ).converges
