"""Evening out: the spread of CPU load down to a target, at the least cost.

A descent (:mod:`.greedy`) finds moves that reach it; a trade (:mod:`.trade`)
makes them fewer or cheaper; what comes of it is put in an order in which
every move is possible when its turn comes.
"""

from kvm_balancer.planner import bounds
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import greedy
from kvm_balancer.planner import score
from kvm_balancer.planner import sequence
from kvm_balancer.planner import trade
from kvm_balancer.planner import workspace

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


class Evening:
    """Evens out the load of hosts on a workspace."""

    def __init__(self, work: workspace.Workspace, target: float) -> None:
        """Begin where *work* is.

        :param target: spread down to which it moves
        """
        self._work = work
        self._target = target
        #: of the sum of squares, within limits; None where there are none
        self._floor: float | None = None

    @property
    def spread(self) -> float:
        """The spread of CPU load as it is now."""
        return score.spread(self._work.state.cpu_load, self._work.counted)

    def run(self, proven: int | None) -> None:
        """Move until the spread is at the target, or nothing helps.

        :param proven: moves that it takes at least; None where that is not
            known
        """
        work = self._work
        moves, first = work.moves, len(work.steps)
        if self.spread <= self._target:
            return
        self._floor = self._find_floor()
        begun = self._descend()
        if self._least(proven, work.moves - moves):
            found = sequence.ways(work, first)
            work.rewind(first)
            sequence.in_any_case(work, found)
        else:
            self._settle(first, begun)

    def _least(self, proven: int | None, moves: int) -> bool:
        """Say whether no trade makes the moves so far any better.

        They reach the target, and no fewer do.
        """
        return bool(
            not self._work.particular
            and self._work.context.prefer is contexts.Prefer.MOVES
            and proven is not None
            and moves <= proven
            and self.spread <= self._target
        )

    def _find_floor(self) -> float | None:
        """Return what no plan gets the sum of squares under, within limits.

        :returns: None where there are no limits
        """
        work, limits = self._work, self._work.context.limits
        if not limits.max_moves:
            return 0.0 if limits.max_mib else None
        left = max(0, limits.max_moves - work.moves)
        return bounds.squares_after(
            work.state, work.free_instances, left, work.counted
        )

    def _descend(self) -> contexts.Prefer:
        """Find moves to begin with; say what they are sparing with.

        Where a limit of the plan leaves it over its target, what is sparing
        with something else may get further within the limit.
        """
        work, target = self._work, self._target
        first = len(work.steps)
        limits = work.context.limits
        own = work.context.prefer
        tried: list[tuple[float, int, contexts.Prefer]] = []
        for prefer in _ORDER[own]:
            exponent = prefer.cost_exponent
            greedy.Descent(work, exponent=exponent).run(target)
            reached = self.spread
            limited = limits.max_moves or limits.max_mib
            if reached <= target or not limited or work.out_of_time:
                return prefer
            tried.append((reached, len(tried), prefer))
            work.rewind(first)
        best = min(tried)[-1]
        greedy.Descent(work, exponent=best.cost_exponent).run(target)
        return best

    def _settle(self, first: int, begun: contexts.Prefer) -> None:
        """Trade the moves for better ones, and put them in order.

        :param begun: what the moves are sparing with so far
        """
        work = self._work
        found = sequence.ways(work, first)
        best, kept = self._worth(first), found
        for prefer in dict.fromkeys((begun, work.context.prefer)):
            work.rewind(first)
            for way in found:
                work.move(way.unit, way.destination)
            self._trade(first, prefer)
            worth = self._worth(first)
            if worth <= best:
                best, kept = worth, sequence.ways(work, first)
        if kept != sequence.ways(work, first) or kept == found:
            work.rewind(first)
            sequence.in_any_case(work, kept)

    def _trade(self, first: int, prefer: contexts.Prefer) -> None:
        """Trade once, and carry it out.

        What turns out not to be possible in any order is made up for, by a
        second trade or descent.
        """
        work, target = self._work, self._target
        for _ in range(_ATTEMPTS):
            better = trade.improve(work, first, target, prefer, self._floor)
            work.rewind(first)
            if sequence.carry_out(work, better):
                return
        greedy.Descent(work, explain=True).run(target)

    def _worth(self, first: int) -> tuple[float, float]:
        """Return what of two sets of moves the better one has less of."""
        work = self._work
        cost = trade.spent(work, first, work.context.prefer)
        return max(self._target, self.spread), cost
