"""Prefer hosts whose CPUs have the least to do."""

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.weighers import base


class CpuWeigher(base.Weigher):
    """Weighs hosts by the CPU load that the instance would leave free."""

    name = 'cpu'
    decisive = False

    def weigh(
        self,
        state: placement.Placement,
        instance: int,
        hosts: columns.Ints,
    ) -> columns.Floats:
        usage = state.fleet.instances.cpu_usage[instance]
        used = state.cores[hosts] + usage
        free: columns.Floats = 1.0 - used / state.fleet.hosts.cpus[hosts]
        return free
