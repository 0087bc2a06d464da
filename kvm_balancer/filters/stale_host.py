"""A host that has gone silent gets no instance: nobody knows its load."""

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement


class StaleHostFilter(base.Filter):
    """Lets instances go to hosts that still report."""

    name = 'stale_host'

    def classes(self, fleet: columns.Fleet) -> columns.Ints:
        return base.all_alike(fleet)

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        passed: columns.Bools = ~state.fleet.hosts.silent[hosts][None, :]
        return passed

    def reason(self, state: placement.Placement, instance: int) -> str:
        return 'have gone silent'

    def remedy(
        self, state: placement.Placement, instance: int, hosts: columns.Ints
    ) -> str:
        name = state.fleet.hosts.name[int(hosts[0])]
        return f'see to the executor of {name}'
