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
from kvm_balancer.planner import reasons
from kvm_balancer.planner import score
from kvm_balancer.planner import sequence
from kvm_balancer.planner import trade
from kvm_balancer.planner import workspace
from kvm_balancer.policies import base

#: trades until all of their moves have been possible in some order
_ATTEMPTS = 2
#: what to be sparing with where limits are in the way: its own, then others
_ORDER = {
    contexts.Prefer.MOVES: tuple(contexts.Prefer),
    contexts.Prefer.BALANCE: (
        contexts.Prefer.BALANCE,
        contexts.Prefer.MOVES,
        contexts.Prefer.GIB,
    ),
    contexts.Prefer.GIB: (
        contexts.Prefer.GIB,
        contexts.Prefer.BALANCE,
        contexts.Prefer.MOVES,
    ),
}


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
            work.state, work.free_instances, target, work.counted
        )
        before = self._spread(work)
        moves, first = work.moves, len(work.steps)
        if before > target:
            begun = self._descend(work)
            if self._least(work, proven, work.moves - moves):
                found = sequence.ways(work, first)
                work.rewind(first)
                sequence.in_any_case(work, found)
            else:
                self._settle(work, first, begun)
        return assembly.Findings(
            summary=self._summary(
                work, before, self._spread(work), work.moves - moves
            ),
            moves_bound=proven,
        )

    def _least(
        self, work: workspace.Workspace, proven: int | None, moves: int
    ) -> bool:
        """Say whether no trade makes the moves so far any better.

        They reach the target, and no fewer do.
        """
        return bool(
            not work.particular
            and work.context.prefer is contexts.Prefer.MOVES
            and proven is not None
            and moves <= proven
            and self._spread(work) <= self.params.target
        )

    def _descend(self, work: workspace.Workspace) -> contexts.Prefer:
        """Find moves to begin with; say what they are sparing with.

        Where a limit of the plan leaves it over its target, what is sparing
        with something else may get further within the limit.
        """
        target, first = self.params.target, len(work.steps)
        limits = work.context.limits
        own = work.context.prefer
        tried: list[tuple[float, int, contexts.Prefer]] = []
        for prefer in _ORDER[own]:
            exponent = prefer.cost_exponent
            greedy.Descent(work, exponent=exponent).run(target)
            reached = self._spread(work)
            limited = limits.max_moves or limits.max_mib
            if reached <= target or not limited or work.out_of_time:
                return prefer
            tried.append((reached, len(tried), prefer))
            work.rewind(first)
        best = min(tried)[-1]
        greedy.Descent(work, exponent=best.cost_exponent).run(target)
        return best

    def _settle(
        self, work: workspace.Workspace, first: int, begun: contexts.Prefer
    ) -> None:
        """Trade the moves for better ones, and put them in order.

        :param begun: what the moves are sparing with so far
        """
        found = sequence.ways(work, first)
        best, kept = self._worth(work, first), found
        for prefer in dict.fromkeys((begun, work.context.prefer)):
            work.rewind(first)
            for way in found:
                work.move(way.unit, way.destination)
            self._trade(work, first, prefer)
            worth = self._worth(work, first)
            if worth <= best:
                best, kept = worth, sequence.ways(work, first)
        if kept != sequence.ways(work, first) or kept == found:
            work.rewind(first)
            sequence.in_any_case(work, kept)

    def _trade(
        self, work: workspace.Workspace, first: int, prefer: contexts.Prefer
    ) -> None:
        """Trade once, and carry it out.

        What turns out not to be possible in any order is made up for, by a
        second trade or descent.
        """
        target = self.params.target
        for _ in range(_ATTEMPTS):
            better = trade.improve(work, first, target, prefer)
            work.rewind(first)
            if sequence.carry_out(work, better):
                return
        greedy.Descent(work, explain=True).run(target)

    def _worth(
        self, work: workspace.Workspace, first: int
    ) -> tuple[float, float]:
        """Return what of two sets of moves the better one has less of."""
        cost = trade.spent(work, first, work.context.prefer)
        return max(self.params.target, self._spread(work)), cost

    def _spread(self, work: workspace.Workspace) -> float:
        return score.spread(work.state.cpu_load, work.counted)

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
        alone = reasons.left_alone(work)
        why = 'no move, swap or chain of moves makes it better'
        if not (work.may_leave & work.scope).any():
            why, alone = alone, ''
        elif work.spent:
            why = 'the plan has reached its limit of moves or time'
        text = f'{text}, over its target of {target:.3f}: {why}'
        return f'{text}; {alone}' if alone else text
