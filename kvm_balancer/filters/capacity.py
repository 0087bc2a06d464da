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
        usage = state.fleet.instances.cpu_usage[instances]
        return self._fits(state, state.need[:, instances], usage, hosts)

    def passes_together(
        self,
        state: placement.Placement,
        members: columns.Ints,
        first: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        need = np.add.reduceat(state.need[:, members], first, axis=1)
        usage = np.add.reduceat(
            state.fleet.instances.cpu_usage[members], first
        )
        return self._fits(state, need, usage, hosts)

    def _fits(
        self,
        state: placement.Placement,
        wanted: columns.Floats,
        usage: columns.Floats,
        hosts: columns.Ints,
    ) -> columns.Bools:
        """Say where there is room and cores for how much.

        :param wanted: shape ``(3, n)``
        :param usage: cores, shape ``(n,)``
        """
        passed = np.ones((len(usage), len(hosts)), np.bool_)
        if not passed.size:
            return passed
        left = state.room[:, hosts] + _SLACK
        # what there is plenty of needs no look at every pair
        scarce = wanted.max(axis=1) > left.min(axis=1)
        for resource in np.flatnonzero(scarce).tolist():
            passed &= wanted[resource][:, None] <= left[resource][None, :]
        cpus = state.fleet.hosts.cpus[hosts]
        idle = self.params.cpu_limit * cpus - state.cores[hosts] + _SLACK
        if usage.max() > idle.min():
            passed &= (usage[:, None] <= idle[None, :]) | (usage[:, None] <= 0)
        return passed

    def reason(self, state: placement.Placement, instance: int) -> str:
        """Name what any host of its zone lacks; all of it where none does.

        None does where it is one of several that go together.
        """
        fleet = state.fleet
        home = int(state.host[instance])
        others = fleet.hosts.zone == fleet.hosts.zone[home]
        others[home] = False
        need = state.need[:, instance]
        lacks: columns.Bools = np.any(
            need[:, None] > state.room[:, others] + _SLACK, axis=1
        )
        usage = float(fleet.instances.cpu_usage[instance])
        most = self.params.cpu_limit * fleet.hosts.cpus
        hot = usage > 0 and bool(
            (state.cores + usage > most + _SLACK)[others].any()
        )
        if not lacks.any() and not hot:
            lacks[:] = True
        units = ('MiB', 'vCPUs', 'GiB of disk')
        parts = [
            f'{amount:.0f} {unit}'
            for amount, unit, lack in zip(need, units, lacks, strict=True)
            if lack
        ]
        told = [f'lack room for its {_listed(parts)}'] if parts else []
        if hot:
            told.append(
                f'would go over {self.params.cpu_limit:.2f} CPU with its '
                f'{usage:.2f} cores'
            )
        return ' or '.join(told)

    def remedy(
        self, state: placement.Placement, instance: int, hosts: columns.Ints
    ) -> str:
        """Name the host that lacks least, and what it lacks."""
        fleet = state.fleet
        lacks = [
            np.maximum(state.need[row, instance] - state.room[row, hosts], 0.0)
            for row in range(len(placement.RESOURCES))
        ]
        usage = fleet.instances.cpu_usage[instance]
        most = self.params.cpu_limit * fleet.hosts.cpus[hosts]
        lacks.append(np.maximum(state.cores[hosts] + usage - most, 0.0))
        whole = (
            fleet.hosts.memory_capacity_mib[hosts],
            fleet.hosts.vcpu_capacity[hosts],
            fleet.hosts.disk_capacity_gib[hosts],
            fleet.hosts.cpus[hosts],
        )
        share = sum(
            lack / np.maximum(all_of_it, 1.0)
            for lack, all_of_it in zip(lacks, whole, strict=True)
        )
        nearest = int(np.argmin(share))
        parts = [
            f'{lack[nearest]:.{digits}f} {unit}'
            for lack, unit, digits in zip(
                lacks,
                ('MiB', 'vCPUs', 'GiB of disk', 'cores'),
                (0, 0, 0, 1),
                strict=True,
            )
            if lack[nearest] > _SLACK
        ]
        name = fleet.hosts.name[int(hosts[nearest])]
        return f'free {" and ".join(parts)} on {name}' if parts else ''


def _listed(parts: list[str]) -> str:
    """Join words by commas, and by 'and' before the last."""
    return ' and '.join([', '.join(parts[:-1]), parts[-1]][len(parts) == 1 :])
