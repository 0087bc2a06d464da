"""Prefer hosts whose migration network is free."""

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.weighers import base


class BandwidthWeigher(base.Weigher):
    """Weighs hosts by how soon their network would have carried it all.

    That is what the plan already brings to a host, and the instance, over
    the host's bandwidth.
    """

    name = 'bandwidth'
    decisive = False

    def weigh(
        self,
        state: placement.Placement,
        instance: int,
        hosts: columns.Ints,
    ) -> columns.Floats:
        mib = state.fleet.instances.memory_usage_mib[instance]
        todo = state.incoming_mib[hosts] + mib
        seconds = todo / state.fleet.hosts.migration_mib_s[hosts]
        weight: columns.Floats = -seconds
        return weight
