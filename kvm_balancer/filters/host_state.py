"""Nothing arrives at a host that is disabled or drained."""

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement


class HostStateFilter(base.Filter):
    """Lets instances go to enabled hosts."""

    name = 'host_state'

    def classes(self, fleet: columns.Fleet) -> columns.Ints:
        return base.all_alike(fleet)

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        enabled = state.fleet.hosts.state == columns.HostState.ENABLED
        passed: columns.Bools = enabled[hosts][None, :]
        return passed

    def reason(self, state: placement.Placement, instance: int) -> str:
        return 'are disabled or draining'

    def remedy(
        self, state: placement.Placement, instance: int, hosts: columns.Ints
    ) -> str:
        name = state.fleet.hosts.name[int(hosts[0])]
        return f'enable {name}' + (' or another' if len(hosts) > 1 else '')
