"""Prefer hosts with the largest share of their memory left."""

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.weighers import base


class MemoryWeigher(base.Weigher):
    """Weighs hosts by the share of memory that the instance would leave."""

    name = 'memory'
    decisive = False

    def weigh(
        self,
        state: placement.Placement,
        instance: int,
        hosts: columns.Ints,
    ) -> columns.Floats:
        need = state.need[placement.MEMORY_MIB, instance]
        left = state.room[placement.MEMORY_MIB, hosts] - need
        capacity = state.fleet.hosts.memory_capacity_mib[hosts]
        share: columns.Floats = left / capacity
        return share
