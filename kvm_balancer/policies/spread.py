"""Spread: even CPU load out over the hosts.

Acts when the standard deviation of CPU load over the hosts that count is
over ``start``, and moves until it is at most ``target``, which is lower:
having acted, it does not have to act again soon.
"""

import dataclasses

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import assembly
from kvm_balancer.planner import bounds
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import greedy
from kvm_balancer.planner import refine
from kvm_balancer.planner import score
from kvm_balancer.planner import sequence
from kvm_balancer.planner import workspace
from kvm_balancer.policies import base


@dataclasses.dataclass(frozen=True, slots=True)
class SpreadParams(base.Params):
    """Options of the policy.

    :ivar start: spread over which the policy acts
    :ivar target: spread down to which it then moves
    """

    start: float = 0.15
    target: float = 0.10


class Spread(base.Policy):
    """Brings the spread of CPU load under a target, best moves first."""

    name = 'spread'
    params_class = SpreadParams
    params: SpreadParams

    def trigger(self, fleet: columns.Fleet) -> base.Trigger:
        start = max(self.params.start, self.params.target)
        level = score.spread(fleet.cpu_load, fleet.counted)
        return base.Trigger(
            level=level,
            start=start,
            stop=self.params.target,
            text=(
                f'CPU spread is {level:.3f}: acts over {start:.3f}, '
                f'down to {self.params.target:.3f}'
            ),
        )

    def search(self, work: workspace.Workspace) -> assembly.Findings:
        target = self.params.target
        free = work.free_instances
        proven = bounds.moves_to_spread(work.state, free, target)
        descent = greedy.Descent(work)
        before = descent.spread.stddev
        done = work.moves
        first = len(work.steps)
        descent.run(target)
        sequence.settle(work, first, self._alternatives(work, first))
        after = score.spread(work.state.cpu_load, work.fleet.counted)
        return assembly.Findings(
            summary=self._summary(work, before, after, work.moves - done),
            moves_bound=proven,
        )

    def _alternatives(
        self, work: workspace.Workspace, first: int
    ) -> list[list[sequence.Way]]:
        """Return sets of moves to make, better ones first."""
        target = self.params.target
        reached = score.spread(work.state.cpu_load, work.fleet.counted)
        if work.context.prefer is not contexts.Prefer.MOVES:
            return []
        if reached > target:
            return []
        return [refine.fewer_moves(work, first, target)]

    def _summary(
        self,
        work: workspace.Workspace,
        before: float,
        after: float,
        moves: int,
    ) -> str:
        target = self.params.target
        if before <= target:
            return (
                f'CPU spread is {before:.3f}, at or under its target of '
                f'{target:.3f}: nothing to do'
            )
        text = f'CPU spread {before:.3f} -> {after:.3f} in {moves} moves'
        if after <= target:
            return text
        why = (
            'the plan has reached its limit of moves or time'
            if work.spent
            else 'no single move makes it better'
        )
        return f'{text}, over its target of {target:.3f}: {why}'
