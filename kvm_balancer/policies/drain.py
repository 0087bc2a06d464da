"""Drain: empty the hosts that are marked, in the shortest time."""

import collections
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
        unplaced = tuple(
            plan.Unplaced(
                fleet.instances.id[one],
                why.get(one) or reasons.stays(work, one),
            )
            for one in staying
        )
        return assembly.Findings(
            summary=_summary(work, hosts, work.moves - moves, unplaced),
            unplaced=unplaced,
        )


def _summary(
    work: workspace.Workspace,
    hosts: columns.Ints,
    moves: int,
    staying: tuple[plan.Unplaced, ...],
) -> str:
    """Say how far *hosts*, which drain, get empty, and why no further."""
    if not len(hosts):
        return 'no host is draining: nothing to do'
    there = np.bincount(work.state.host, minlength=len(work.fleet.hosts))
    empty = int(np.count_nonzero(there[hosts] == 0))
    if not staying:
        return (
            f'{base.moves(moves)} empty {empty} of {len(hosts)} draining hosts'
        )
    why, count = collections.Counter(
        one.reason for one in staying
    ).most_common(1)[0]
    stay = 'stays' if len(staying) == 1 else 'stay'
    drained = 'host' if len(hosts) == 1 else 'hosts'
    text = (
        f'{moves} of {moves + len(staying)} instances leave {len(hosts)} '
        f'draining {drained}, of which {empty} get empty; {len(staying)} '
        f'{stay} there: {why}'
    )
    others = len(staying) - count
    return (
        f'{text} ({count}), and {others} for other reasons' if others else text
    )
