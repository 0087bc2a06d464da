"""Some instances may only run on hosts of certain aggregates."""

import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement


class AggregatesFilter(base.Filter):
    """Lets instances go to hosts that are in all aggregates they require."""

    name = 'aggregates'

    def classes(self, fleet: columns.Fleet) -> columns.Ints:
        return fleet.instances.requirement

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        fleet = state.fleet
        wanted = fleet.requirements[fleet.instances.requirement[instances]]
        missing = ~fleet.hosts.aggregates[hosts]
        lacking = wanted.astype(np.int32) @ missing.T.astype(np.int32)
        passed: columns.Bools = lacking == 0
        return passed

    def reason(self, state: placement.Placement, instance: int) -> str:
        fleet = state.fleet
        wanted = fleet.requirements[fleet.instances.requirement[instance]]
        names = ', '.join(
            name
            for name, needed in zip(fleet.aggregates, wanted, strict=True)
            if needed
        )
        return f'are not in aggregate {names}'

    def remedy(
        self, state: placement.Placement, instance: int, hosts: columns.Ints
    ) -> str:
        fleet = state.fleet
        wanted = fleet.requirements[fleet.instances.requirement[instance]]
        missing = wanted[None, :] & ~fleet.hosts.aggregates[hosts]
        nearest = int(np.argmin(missing.sum(axis=1)))
        names = ', '.join(
            name
            for name, lacks in zip(
                fleet.aggregates, missing[nearest].tolist(), strict=True
            )
            if lacks
        )
        return f'put {fleet.hosts.name[int(hosts[nearest])]} into {names}'
