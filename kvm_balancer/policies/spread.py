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
        proven = bounds.moves_to_spread(
            work.state, work.free_instances, target
        )
        before = self._spread(work)
        moves, first = work.moves, len(work.steps)
        greedy.Descent(work).run(target)
        self._settle(work, first)
        return assembly.Findings(
            summary=self._summary(
                work, before, self._spread(work), work.moves - moves
            ),
            moves_bound=proven,
        )

    def _settle(self, work: workspace.Workspace, first: int) -> None:
        """Put the moves in order, fewer of them where fewer will do.

        A refinement that turns out not to be possible as a whole is made
        up for by a second descent, where that still takes fewer moves.
        """
        target, moves = self.params.target, work.moves
        found = [
            sequence.Way(step.unit, step.destination)
            for step in work.steps[first:]
        ]
        if not found:
            return
        sparing = work.context.prefer is contexts.Prefer.MOVES
        if sparing and self._spread(work) <= target:
            fewer = refine.fewer_moves(work, first, target)
            work.rewind(first)
            if not sequence.carry_out(work, fewer):
                greedy.Descent(work, explain=True).run(target)
            if self._spread(work) <= target and work.moves < moves:
                return
        work.rewind(first)
        sequence.in_any_case(work, found)

    def _spread(self, work: workspace.Workspace) -> float:
        return score.spread(work.state.cpu_load, work.fleet.counted)

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
        text = f'CPU spread {before:.3f} -> {after:.3f} in {base.moves(moves)}'
        if after <= target:
            return text
        why = (
            'the plan has reached its limit of moves or time'
            if work.spent
            else 'no single move makes it better'
        )
        return f'{text}, over its target of {target:.3f}: {why}'
