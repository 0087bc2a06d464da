"""A policy: when to act, and what to move.

Everything else is the planner's: filters, weighers, cooldowns, limits, the
order of moves, predictions and reasons. A policy asks the workspace what
may move and where to, and moves it.
"""

import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import assembly
from kvm_balancer.planner import gauges
from kvm_balancer.planner import purposes
from kvm_balancer.planner import workspace
from kvm_balancer.policies import base


@dataclasses.dataclass(frozen=True, slots=True)
class MemoryReliefParams(base.Params):
    """Options, in the group ``[memory_relief]``."""

    limit: float = dataclasses.field(
        default=0.9,
        metadata={
            'help': 'Allocated share of memory over which hosts are relieved.',
            'min': 0.0,
            'max': 1.0,
        },
    )


class MemoryRelief(base.Policy):
    """Moves the largest instances off hosts whose memory is given away."""

    name = 'memory_relief'
    params_class = MemoryReliefParams
    params: MemoryReliefParams

    def trigger(self, fleet: columns.Fleet) -> base.Trigger:
        limit = self.params.limit
        level = float(fleet.memory_load.max(initial=0.0))
        return base.Trigger(
            level,
            start=limit,
            stop=limit,
            text=f'the fullest host has {level:.2f} of its memory allocated',
        )

    def purpose(self, setting: purposes.Setting) -> purposes.Purpose:
        most = np.full(len(setting.work.fleet.hosts), self.params.limit)
        limit = gauges.Limit(gauges.Reading.ALLOCATION, most, aim=most)
        return purposes.Excess(setting, (limit,))

    def search(self, work: workspace.Workspace) -> assembly.Findings:
        over = np.flatnonzero(work.state.memory_load > self.params.limit)
        relieved = sum(self._relieve(work, host) for host in over.tolist())
        return assembly.Findings(
            f'{relieved} of {len(over)} hosts are brought under '
            f'{self.params.limit:.2f} of their memory'
        )

    def _relieve(self, work: workspace.Workspace, host: int) -> bool:
        """Move instances off *host*, the largest first; say if it helped."""
        units = work.units_on(host)
        memory = work.units.need[placement.MEMORY_MIB]
        for unit in units[np.argsort(-memory[units], kind='stable')].tolist():
            if work.state.memory_load[host] <= self.params.limit:
                return True
            if not work.may_move(unit):
                break
            fit = self._fit(work, unit, host)
            if len(fit):
                work.move(unit, work.best(unit, fit))
        return bool(work.state.memory_load[host] <= self.params.limit)

    def _fit(
        self, work: workspace.Workspace, unit: int, host: int
    ) -> columns.Ints:
        """Return the hosts that take *unit* and stay under the limit."""
        hosts = work.destinations(host)
        hosts = hosts[work.allowed(np.array([unit], np.int32), hosts)[0]]
        capacity = work.fleet.hosts.memory_capacity_mib[hosts]
        more = work.units.need[placement.MEMORY_MIB, unit] / capacity
        after = work.state.memory_load[hosts] + more
        fit: columns.Ints = hosts[after <= self.params.limit]
        return fit
