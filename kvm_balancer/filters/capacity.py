"""No host is given more than it may allocate."""

import dataclasses

import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement

#: sums of floats are compared with this slack, in MiB, vCPUs and GiB
_SLACK = 1e-6


@dataclasses.dataclass(frozen=True, slots=True)
class CapacityParams(base.Params):
    """Options of the capacity filter.

    :ivar cpu_limit: measured CPU load that no arrival may bring a host over
    """

    cpu_limit: float = 1.0


class CapacityFilter(base.Filter):
    """Lets instances go where memory, vCPUs, disk and cores are left.

    Memory counts with the host's reservation, and all three with their
    allocation ratios; cores count as they are measured.
    """

    name = 'capacity'
    dynamic = True
    local = True
    params_class = CapacityParams
    params: CapacityParams

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        passed = np.ones((len(instances), len(hosts)), np.bool_)
        if not passed.size:
            return passed
        wanted = state.need[:, instances]
        left = state.room[:, hosts] + _SLACK
        # what there is plenty of needs no look at every pair
        scarce = wanted.max(axis=1) > left.min(axis=1)
        for resource in np.flatnonzero(scarce).tolist():
            passed &= wanted[resource][:, None] <= left[resource][None, :]
        usage = state.fleet.instances.cpu_usage[instances]
        cpus = state.fleet.hosts.cpus[hosts]
        idle = self.params.cpu_limit * cpus - state.cores[hosts] + _SLACK
        if usage.max() > idle.min():
            passed &= (usage[:, None] <= idle[None, :]) | (usage[:, None] <= 0)
        return passed

    def reason(self, state: placement.Placement, instance: int) -> str:
        memory = state.need[placement.MEMORY_MIB, instance]
        vcpus = state.need[placement.VCPUS, instance]
        disk = state.need[placement.DISK_GIB, instance]
        return (
            f'lack room for its {memory:.0f} MiB, {vcpus:.0f} vCPUs and '
            f'{disk:.0f} GiB of disk'
        )
