"""Spread: even CPU load out over the hosts.

Acts when the standard deviation of CPU load over the hosts that count is
over ``start``, and moves until it is at most ``target``, which is lower:
having acted, it does not have to act again soon.
"""

import dataclasses

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import assembly
from kvm_balancer.planner import bounds
from kvm_balancer.planner import greedy
from kvm_balancer.planner import score
from kvm_balancer.planner import sequence
from kvm_balancer.planner import trade
from kvm_balancer.planner import workspace
from kvm_balancer.policies import base

#: trades until all of their moves have been possible in some order
_ATTEMPTS = 2


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
        if before > target:
            greedy.Descent(work).run(target)
            self._settle(work, first)
        return assembly.Findings(
            summary=self._summary(
                work, before, self._spread(work), work.moves - moves
            ),
            moves_bound=proven,
        )

    def _settle(self, work: workspace.Workspace, first: int) -> None:
        """Trade the moves for better ones, and put them in order.

        What turns out not to be possible in any order is made up for, by
        a second trade or descent, where the whole is still better then.
        """
        target = self.params.target
        found = [
            sequence.Way(step.unit, step.destination)
            for step in work.steps[first:]
        ]
        reached = self._worth(work, first)
        for _ in range(_ATTEMPTS):
            better = trade.improve(work, first, target)
            work.rewind(first)
            if sequence.carry_out(work, better):
                break
        else:
            greedy.Descent(work, explain=True).run(target)
        if self._worth(work, first) > reached:
            work.rewind(first)
            sequence.in_any_case(work, found)

    def _worth(
        self, work: workspace.Workspace, first: int
    ) -> tuple[float, float]:
        """Return what of two sets of moves the better one has less of."""
        units = [step.unit for step in work.steps[first:]]
        cost = float(trade.costs(work)[units].sum())
        return max(self.params.target, self._spread(work)), cost

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
            else 'no move, swap or chain of moves makes it better'
        )
        return f'{text}, over its target of {target:.3f}: {why}'
