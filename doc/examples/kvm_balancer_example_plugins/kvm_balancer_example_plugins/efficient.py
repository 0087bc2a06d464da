"""A weigher of whole columns: one call weighs all hosts for an instance."""

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.weighers import base

_AGGREGATE = 'efficient'


class EfficientWeigher(base.Weigher):
    """Prefers hosts that do the same for less power."""

    name = 'efficient'

    def weigh(
        self,
        state: placement.Placement,
        instance: int,
        hosts: columns.Ints,
    ) -> columns.Floats:
        fleet = state.fleet
        if _AGGREGATE not in fleet.aggregates:
            return np.zeros(len(hosts))
        column = fleet.aggregates.index(_AGGREGATE)
        weights: columns.Floats = fleet.hosts.aggregates[hosts, column].astype(
            np.float64
        )
        return weights
