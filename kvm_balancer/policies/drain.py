"""Drain: empty the hosts that are marked, in the shortest time."""

import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan
from kvm_balancer.planner import assembly
from kvm_balancer.planner import evacuation
from kvm_balancer.planner import purposes
from kvm_balancer.planner import reasons
from kvm_balancer.planner import workspace
from kvm_balancer.policies import base


@dataclasses.dataclass(frozen=True, slots=True)
class DrainParams(base.Params):
    """Options of the policy.

    :ivar limit: CPU load that no destination is brought over
    """

    limit: float = 0.8


class Drain(base.Policy):
    """Empties draining hosts and spreads what they ran over many others."""

    name = 'drain'
    params_class = DrainParams
    profile = plan.Profile.DRAIN
    cause = plan.Cause(plan.CauseKind.DRAINING)
    mandatory = True
    params: DrainParams

    def trigger(self, fleet: columns.Fleet) -> base.Trigger:
        draining = fleet.hosts.state == columns.HostState.DRAINING
        leaving = draining[fleet.instances.host] & fleet.instances.movable
        count = int(np.count_nonzero(leaving))
        return base.Trigger(
            level=float(count),
            start=0.0,
            stop=0.0,
            text=(
                f'{count} instances are on '
                f'{int(np.count_nonzero(draining))} draining hosts'
            ),
        )

    def purpose(self, setting: purposes.Setting) -> purposes.Purpose:
        return purposes.Draining(setting)

    def search(self, work: workspace.Workspace) -> assembly.Findings:
        fleet = work.fleet
        hosts = np.flatnonzero(
            (fleet.hosts.state == columns.HostState.DRAINING) & work.scope
        ).astype(np.int32)
        moves = work.moves
        evacuating = evacuation.Evacuation(work, self.params.limit)
        left = evacuating.run(hosts.tolist())
        why = {
            one: reasons.unplaced(work, unit, self.params.limit)
            for unit in left
            for one in work.units.of(unit).tolist()
        }
        staying = np.flatnonzero(np.isin(work.state.host, hosts)).tolist()
        return assembly.Findings(
            summary=self._summary(work, hosts, work.moves - moves),
            unplaced=tuple(
                plan.Unplaced(
                    fleet.instances.id[one],
                    why.get(one) or reasons.stays(work, one),
                )
                for one in staying
            ),
        )

    def _summary(
        self, work: workspace.Workspace, hosts: columns.Ints, moves: int
    ) -> str:
        if not len(hosts):
            return 'no host is draining: nothing to do'
        there = np.bincount(work.state.host, minlength=len(work.fleet.hosts))[
            hosts
        ]
        empty = int(np.count_nonzero(there == 0))
        text = f'{moves} moves empty {empty} of {len(hosts)} draining hosts'
        staying = int(there.sum())
        return f'{text}; {staying} instances stay there' if staying else text
