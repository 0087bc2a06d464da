"""Carrying a plan out: what may start now, what no longer makes sense.

A plan is a partial order. A move may start when all moves it names in
``after`` have completed, both of its hosts have a free slot, and the fleet as
it is *now* still allows and wants it. Free slots are refilled whenever
something ends; there are no waves.

The life of a move::

    planned --> dispatched --> completed, failed, cancelled or unknown
       +------> dropped

Pure: the caller says what the fleet is now and what has ended.
"""

import collections
import collections.abc
import dataclasses

from kvm_balancer.model import execution
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """The move may start now."""

    index: int
    move: plans.Move


@dataclasses.dataclass(frozen=True, slots=True)
class Drop:
    """The move will not be made, and why."""

    index: int
    move: plans.Move
    reason: str


#: What a move that waited for one of these waits for in vain.
_LOST = frozenset(
    {
        execution.MoveState.FAILED,
        execution.MoveState.CANCELLED,
        execution.MoveState.UNKNOWN,
        execution.MoveState.DROPPED,
    }
)
_OPEN = frozenset(
    {execution.MoveState.PLANNED, execution.MoveState.DISPATCHED}
)

#: Says why a move is not to be made in the fleet as it is; '' when it is.
Objection = collections.abc.Callable[[columns.Fleet, plans.Move], str]


class Dispatch:
    """One plan while it is carried out.

    :param plan_id: names the plan in the store
    :param max_migrations: most moves under way at one time in the fleet
    """

    def __init__(
        self, plan_id: str, plan: plans.Plan, max_migrations: int
    ) -> None:
        self.plan_id = plan_id
        self.plan = plan
        self._max_migrations = max_migrations
        self._states = [execution.MoveState.PLANNED] * len(plan.moves)
        self._reasons = [''] * len(plan.moves)

    @property
    def done(self) -> bool:
        """True when every move has ended one way or another."""
        return _OPEN.isdisjoint(self._states)

    @property
    def states(self) -> tuple[execution.MoveState, ...]:
        """The state of every move, in the order of the plan."""
        return tuple(self._states)

    def open_moves(self) -> list[plans.Move]:
        """Return the moves that have not ended, in the order of the plan."""
        return [
            move
            for move, state in zip(self.plan.moves, self._states, strict=True)
            if state in _OPEN
        ]

    def ended(
        self, index: int, state: execution.MoveState, reason: str
    ) -> None:
        """Note how a move ended."""
        self._states[index] = state
        self._reasons[index] = reason

    def put_back(self, index: int) -> None:
        """Let a move wait again: what was decided of it was not done."""
        self.ended(index, execution.MoveState.PLANNED, '')

    def drop_waiting(self, reason: str) -> tuple[Drop, ...]:
        """Give up every move that has not started."""
        return tuple(
            self._drop(index, reason)
            for index, state in enumerate(self._states)
            if state is execution.MoveState.PLANNED
        )

    def next(
        self,
        fleet: columns.Fleet,
        busy: collections.abc.Iterable[tuple[str, str]],
        objection: Objection,
        unsettled: collections.abc.Container[str] = (),
    ) -> tuple[Start | Drop, ...]:
        """Decide what starts now and what is dropped.

        :param fleet: as it is now
        :param busy: source and destination of every migration under way,
            those of this plan included
        :param objection: says why a move no longer makes sense
        :param unsettled: hosts that a migration has changed and that were
            not looked at since: what speaks against a move from or to them
            may be over, and so it waits
        :returns: starts and drops, in the order of the plan; the starts
            count as running from now on
        """
        slots = _Slots(fleet, busy, self._max_migrations)
        decided: list[Start | Drop] = []
        for index, move in enumerate(self.plan.moves):
            if self._states[index] is not execution.MoveState.PLANNED:
                continue
            lost = self._lost_condition(move)
            if lost:
                decided.append(self._drop(index, lost))
                continue
            if not self._conditions_met(move) or not slots.free(move):
                continue
            reason = objection(fleet, move)
            if reason:
                if not _touches(move, unsettled):
                    decided.append(self._drop(index, reason))
                continue
            slots.take(move)
            self._states[index] = execution.MoveState.DISPATCHED
            decided.append(Start(index, move))
        return tuple(decided)

    def _conditions_met(self, move: plans.Move) -> bool:
        return all(
            self._states[before] is execution.MoveState.COMPLETED
            for before in move.after
        )

    def _lost_condition(self, move: plans.Move) -> str:
        for before in move.after:
            if self._states[before] in _LOST:
                return (
                    f'it needs move {before} of the plan, which was '
                    f'{self._states[before]}: {self._reasons[before]}'
                )
        return ''

    def _drop(self, index: int, reason: str) -> Drop:
        self.ended(index, execution.MoveState.DROPPED, reason)
        return Drop(index, self.plan.moves[index], reason)


def _touches(move: plans.Move, hosts: collections.abc.Container[str]) -> bool:
    return move.source in hosts or move.destination in hosts


class _Slots:
    """Free places for migrations, on every host and in all."""

    def __init__(
        self,
        fleet: columns.Fleet,
        busy: collections.abc.Iterable[tuple[str, str]],
        max_migrations: int,
    ) -> None:
        self._fleet = fleet
        self._left = max_migrations
        self._outgoing: collections.Counter[str] = collections.Counter()
        self._incoming: collections.Counter[str] = collections.Counter()
        for source, destination in busy:
            self._count(source, destination)

    def _count(self, source: str, destination: str) -> None:
        self._left -= 1
        self._outgoing[source] += 1
        self._incoming[destination] += 1

    def free(self, move: plans.Move) -> bool:
        """Whether both hosts and the fleet have a place.

        A host that is no longer known is left to the objection.
        """
        rows = self._fleet.host_row
        hosts = self._fleet.hosts
        source = rows.get(move.source)
        destination = rows.get(move.destination)
        if self._left <= 0:
            return False
        if source is None or destination is None:
            return True
        return bool(
            self._outgoing[move.source] < hosts.max_outgoing[source]
            and self._incoming[move.destination]
            < hosts.max_incoming[destination]
        )

    def take(self, move: plans.Move) -> None:
        """Hold the places of a move that starts."""
        self._count(move.source, move.destination)
