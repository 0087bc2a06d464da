"""Spread: even CPU load out over the hosts.

Acts when the standard deviation of CPU load over the hosts that count is
over ``start``, and moves until it is at most ``target``, which is lower:
having acted, it does not have to act again soon.

Where the target is out of reach, as after a host has died while others cool
down, moves can always be found that bring it a little nearer. Those are not
made: there would be such a plan every minute, and hardly any gain in all of
them. Nor are the last moves of a plan that misses it, where they bring much
less than those before them.
"""

import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import assembly
from kvm_balancer.planner import bounds
from kvm_balancer.planner import evening
from kvm_balancer.planner import purposes
from kvm_balancer.planner import reach
from kvm_balancer.planner import reasons
from kvm_balancer.planner import score
from kvm_balancer.planner import workspace
from kvm_balancer.planner import worth
from kvm_balancer.policies import base

#: A plan that does not reach its target gets this share of the way to it at
#: least, or
_LEAST_WAY = 0.25
#: each of its moves takes off so much of what a host has too much on
#: average, both in squares.
_LEAST_EACH = 0.5
#: The last moves of one go where they get less than this share of what its
#: moves get on average, likewise.
_TAIL_SHARE = 0.5


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

    def purpose(self, setting: purposes.Setting) -> purposes.Purpose:
        return purposes.Spread(setting)

    def search(self, work: workspace.Workspace) -> assembly.Findings:
        """Bring the spread to its target, or as far down as it gets.

        Hosts whose load no move brings near that of the others are left
        out: their distance is no reason to move anything else.
        """
        scope, target = work.scope, self.params.target
        proven = bounds.moves_to_spread(
            work.state, work.free_instances, target, work.counted
        )
        counted, before = work.counted, self._spread(work, work.counted)
        moves = work.moves
        limits = reach.of(work, target)
        if limits.apart.any():
            work.look_after(scope & ~limits.apart)
        idle = self._even_out(work, limits.target(target), proven)
        work.look_after(scope)
        return assembly.Findings(
            summary=self._summary(
                work,
                before,
                self._spread(work, counted),
                work.moves - moves,
                idle,
                limits.text(work.fleet, target),
            ),
            moves_bound=proven,
        )

    def _even_out(
        self, work: workspace.Workspace, goal: float, proven: int | None
    ) -> str:
        """Bring the spread to *goal*; take back what hardly helps.

        :returns: what was taken back, in words; empty for nothing
        """
        even = evening.Evening(work, goal)
        first, done, before = len(work.steps), work.moves, even.spread
        even.run(proven)
        most, after = work.moves - done, even.spread
        if after <= goal or not most or work.limited:
            # Limited, it might have gone further with as much for each move.
            return ''
        gained = int(np.count_nonzero(work.counted)) * (before**2 - after**2)
        if before - after >= _LEAST_WAY * (
            before - goal
        ) or gained / most >= _LEAST_EACH * (before**2 - goal**2):
            if work.context.worth.eagerness < worth.MOST_EAGER:
                _drop_tail(work, even, first)
        else:
            work.rewind(first)
        kept = work.moves - done
        if kept == most:
            return ''
        more = ' more' if kept else ''
        return (
            f'{base.moves(most - kept)}{more} would only bring it to '
            f'{after:.4f}'
        )

    def _spread(
        self, work: workspace.Workspace, counted: columns.Bools | None = None
    ) -> float:
        among = work.counted if counted is None else counted
        return score.spread(work.state.cpu_load, among)

    def _summary(
        self,
        work: workspace.Workspace,
        before: float,
        after: float,
        moves: int,
        idle: str,
        reached: str,
    ) -> str:
        """Say how far the spread was brought, and why no further.

        :param idle: what was taken back, in words
        :param reached: why no plan gets further
        """
        target = self.params.target
        if before <= target:
            return (
                f'CPU spread is {before:.3f}, at or under its target of '
                f'{target:.3f}: nothing to do'
            )
        text = f'CPU spread {before:.3f} -> {after:.3f} in {base.moves(moves)}'
        if after <= target:
            return text
        why, alone = idle or reached, reasons.left_alone(work)
        if not (work.may_leave & work.scope).any():
            why, alone = alone, ''
        elif (work.out_of_time or work.limited) and not idle:
            why = reasons.limited(work)
        text = f'{text}, over its target of {target:.3f}: {why}'
        return f'{text}; {alone}' if alone else text


def _drop_tail(
    work: workspace.Workspace, even: evening.Evening, first: int
) -> None:
    """Take back the last moves of a plan, as far as they hardly help.

    What is left is worth most, where each move costs a share of what those of
    the whole plan gain on average.

    :param first: step with which the plan begins
    """
    steps, done = work.steps[first:], work.moves
    found: list[tuple[float, int]] = []
    for count in range(len(steps), -1, -1):
        found.append((even.spread**2, work.moves))
        if count:
            work.rewind(first + count - 1)
    begun, before = found[-1][1], found[-1][0]
    price = _TAIL_SHARE * (before - found[0][0]) / (done - begun)
    rank = [
        before - squares - price * (moves - begun) for squares, moves in found
    ]
    for step in steps[: len(steps) - int(np.argmax(rank))]:
        work.move(step.unit, step.destination, step.why)
