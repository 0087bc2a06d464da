"""Instances never leave their zone."""

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement


class ZoneFilter(base.Filter):
    """Lets instances go to hosts of the zone they are in."""

    name = 'zone'

    def classes(self, fleet: columns.Fleet) -> columns.Ints:
        return fleet.hosts.zone[fleet.instances.host]

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        zone = state.fleet.hosts.zone
        mine = zone[state.host[instances]]
        passed: columns.Bools = mine[:, None] == zone[hosts][None, :]
        return passed

    def reason(self, state: placement.Placement, instance: int) -> str:
        zone = state.fleet.hosts.zone[state.host[instance]]
        name = state.fleet.zones[zone]
        return f'are not in zone {name}' if name else 'are in another zone'
