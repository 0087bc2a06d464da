"""Consolidate: as many empty hosts as possible, and room for a failure."""

import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import assembly
from kvm_balancer.planner import packing
from kvm_balancer.planner import purposes
from kvm_balancer.planner import workspace
from kvm_balancer.policies import base


@dataclasses.dataclass(frozen=True, slots=True)
class ConsolidateParams(base.Params):
    """Options of the policy.

    :ivar limit: CPU load that no host is brought over
    :ivar failures: hosts of every zone for whose failure room is left
    :ivar start: hosts that could be emptied, over which the policy acts
    """

    limit: float = 0.8
    failures: int = 1
    start: int = 0


class Consolidate(base.Policy):
    """Empties hosts, those with the least to move first."""

    name = 'consolidate'
    params_class = ConsolidateParams
    params: ConsolidateParams

    def trigger(self, fleet: columns.Fleet) -> base.Trigger:
        state = placement.Placement(fleet)
        among = fleet.hosts.counted_on
        empty = self._empty(state, among)
        most = max(empty, self._most(state, fleet.instances.movable, among))
        return base.Trigger(
            level=float(most - empty),
            start=float(self.params.start),
            stop=float(self.params.start),
            text=f'{empty} hosts are empty; at most {most} could be',
        )

    def purpose(self, setting: purposes.Setting) -> purposes.Purpose:
        return purposes.InUse(setting)

    def search(self, work: workspace.Workspace) -> assembly.Findings:
        params = self.params
        among = work.fleet.hosts.counted_on & work.scope
        before, moves = self._empty(work.state, among), work.moves
        most = self._most(work.state, work.free_instances, among)
        packing.Packing(work, params.limit, params.failures).run()
        after = self._empty(work.state, among)
        if after == before:
            return assembly.Findings(
                f'{before} hosts are empty; no other can be emptied under '
                f'{params.limit:.2f} CPU with room for {params.failures} '
                f'failed hosts'
            )
        return assembly.Findings(
            f'{before} -> {after} empty hosts in {work.moves - moves} moves; '
            f'no plan empties more than {max(most, after)}'
        )

    def _most(
        self,
        state: placement.Placement,
        free: columns.Bools,
        among: columns.Bools,
    ) -> int:
        return packing.most_empty(
            state, free, self.params.limit, self.params.failures, among
        )

    def _empty(self, state: placement.Placement, among: columns.Bools) -> int:
        """Count the empty hosts that could be filled."""
        occupied = np.bincount(state.host, minlength=len(state.fleet.hosts))
        return int(np.count_nonzero(among & (occupied == 0)))
