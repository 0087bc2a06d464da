"""Carrying a plan out: what may start now, what no longer makes sense.

A plan is a partial order. A move may start when all moves it names in
``after`` have completed, both of its hosts have a free slot, and the fleet as
it is *now* still allows and wants it. Free slots are refilled whenever
something ends; there are no waves.

The life of a move::

    planned --> dispatched --> completed, failed, cancelled or unknown
       +------> dropped

The moves of a hard affinity group from one host to another are a unit. It
begins when all of it may go, and room for all of it is held from then on.
Where one of it fails or cannot go any more, the others stay with it as long
as none has left; once any has, they follow: the group is apart either way,
and repair brings together what is left behind.

Pure: the caller says what the fleet is now and what has ended.
"""

import abc
import collections.abc
import dataclasses

from kvm_balancer.model import execution
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import slots
from kvm_balancer.planner import units


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


#: Moves that go together, by their indexes in the plan.
Unit = tuple[int, ...]

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

#: What has left its host, or is about to.
_LEFT = frozenset(
    {execution.MoveState.DISPATCHED, execution.MoveState.COMPLETED}
)


@dataclasses.dataclass(frozen=True, slots=True)
class Objection:
    """Why moves are not to be made in the fleet as it is.

    :ivar passing: it may be over when the moves before them have ended
    """

    reason: str
    passing: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class _Loss:
    """Why a move is not made that waited for another.

    :ivar first: the move with which that began
    """

    reason: str
    first: int


class Review(abc.ABC):
    """Holds moves against the fleet as it is."""

    @abc.abstractmethod
    def objection(
        self, moves: collections.abc.Sequence[plans.Move]
    ) -> Objection | None:
        """Say why *moves*, all or none of which are made, are not."""

    @abc.abstractmethod
    def misfit(self, move: plans.Move) -> Objection | None:
        """Say why *move* cannot follow the rest of its unit."""

    @abc.abstractmethod
    def take(self, move: plans.Move) -> None:
        """Count *move* as running from now on."""


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
        #: the move that each was lost for, in the end; itself for others
        self._first = list(range(len(plan.moves)))

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
        self._first[index] = index

    def put_back(self, index: int) -> None:
        """Let a move wait again: what was decided of it was not done."""
        self.ended(index, execution.MoveState.PLANNED, '')

    def next(
        self,
        fleet: columns.Fleet,
        busy: collections.abc.Iterable[tuple[str, str]],
        review: Review,
        unsettled: collections.abc.Container[str] = (),
    ) -> tuple[Start | Drop, ...]:
        """Decide what starts now and what is dropped.

        :param fleet: as it is now
        :param busy: source and destination of every migration under way,
            those of this plan included
        :param review: says which moves no longer make sense
        :param unsettled: hosts that a migration has changed and that were
            not looked at since: what speaks against a move from or to them
            may be over, and so it waits
        :returns: starts and drops, in the order of the plan; the starts
            count as running from now on
        """
        places = slots.Slots(fleet, busy, self._max_migrations)
        turn = _Turn(fleet, places, review, unsettled)
        waiting = [
            one
            for one in units.of_moves(fleet, self.plan.moves)
            if self._waiting(one)
        ]
        # Those that have begun come first: they hold room for the rest. What
        # waits and is alone has not.
        begun = {
            one for one in waiting if len(one) > 1 and self._left(one, fleet)
        }
        for unit in sorted(begun):
            self._follow(unit, turn)
        for unit in waiting:
            if unit not in begun:
                self._begin(unit, turn)
        return tuple(sorted(turn.decided, key=lambda one: one.index))

    def _waiting(self, unit: Unit) -> list[int]:
        """Return those of a unit that have not had their turn."""
        return [
            index
            for index in unit
            if self._states[index] is execution.MoveState.PLANNED
        ]

    def _left(self, unit: Unit, fleet: columns.Fleet) -> list[int]:
        """Return those of a unit that have left, or are about to."""
        return [
            index
            for index in unit
            if self._states[index] in _LEFT
            or (
                self._states[index] is execution.MoveState.UNKNOWN
                and _arrived(self.plan.moves[index], fleet)
            )
        ]

    def _follow(self, unit: Unit, turn: '_Turn') -> None:
        """Let the rest of a unit go after those that have left."""
        for index in self._waiting(unit):
            move = self.plan.moves[index]
            against = turn.review.misfit(move)
            if against is not None:
                if not turn.too_early((move,)):
                    gone = len(self._left(unit, turn.fleet))
                    self._drop(
                        turn,
                        (index,),
                        f'{against.reason}; {gone} of its affinity group '
                        f'went to {move.destination} before: repair brings '
                        f'them together',
                    )
                continue
            # Started or not: room for it is held from now on.
            turn.review.take(move)
            self._start(turn, index)

    def _begin(self, unit: Unit, turn: '_Turn') -> None:
        """Let a whole unit go, or drop what is left of it."""
        indexes = self._waiting(unit)
        moves = [self.plan.moves[index] for index in indexes]
        before = [index for move in moves for index in move.after]
        lost = self._lost_condition(before) or self._stays(unit)
        if lost is not None:
            if not (self._unknown(unit) and turn.too_early(moves)):
                self._drop(turn, indexes, lost.reason)
                for index in indexes:
                    self._first[index] = lost.first
            return
        if not self._conditions_met(before) or not turn.slots.free(moves[0]):
            return
        against = turn.review.objection(moves)
        if against is not None:
            wait = against.passing and self._open_before(indexes[0])
            if not wait and not turn.too_early(moves):
                self._drop(turn, indexes, against.reason)
            return
        for index, move in zip(indexes, moves, strict=True):
            turn.review.take(move)
            self._start(turn, index)

    def _start(self, turn: '_Turn', index: int) -> None:
        """Start a move where there is a slot for it."""
        move = self.plan.moves[index]
        if not turn.slots.free(move):
            return
        turn.slots.take(move)
        self._states[index] = execution.MoveState.DISPATCHED
        turn.decided.append(Start(index, move))

    def _open_before(self, index: int) -> bool:
        return not _OPEN.isdisjoint(self._states[:index])

    def _conditions_met(self, conditions: list[int]) -> bool:
        return all(
            self._states[before] is execution.MoveState.COMPLETED
            for before in conditions
        )

    def _lost_condition(self, conditions: list[int]) -> '_Loss | None':
        for before in conditions:
            if self._states[before] in _LOST:
                return _Loss(
                    f'it needs move {before} of the plan, which was '
                    f'{self._ending(before)}',
                    self._first[before],
                )
        return None

    def _ending(self, index: int) -> str:
        """Say how a move ended, and what began that, however far back."""
        first, ending = self._first[index], str(self._states[index])
        if first != index:
            ending += (
                f' for want of move {first}, which was {self._states[first]}'
            )
        return f'{ending}: {self._reasons[first]}'

    def _unknown(self, unit: Unit) -> bool:
        return any(
            self._states[index] is execution.MoveState.UNKNOWN
            for index in unit
        )

    def _stays(self, unit: Unit) -> '_Loss | None':
        """Say which of a unit did not go, so that the others do not."""
        for index in unit:
            if self._states[index] in _LOST:
                return _Loss(
                    f'it stays with {self.plan.moves[index].instance}, of '
                    f'its affinity group, whose move was '
                    f'{self._ending(index)}',
                    self._first[index],
                )
        return None

    def _drop(
        self,
        turn: '_Turn',
        indexes: collections.abc.Iterable[int],
        reason: str,
    ) -> None:
        for index in indexes:
            self.ended(index, execution.MoveState.DROPPED, reason)
            turn.decided.append(Drop(index, self.plan.moves[index], reason))


def _arrived(move: plans.Move, fleet: columns.Fleet) -> bool:
    """Say whether the instance is where *move* was to bring it."""
    row = fleet.instance_row.get(move.instance)
    if row is None:
        return False
    return bool(
        fleet.hosts.name[fleet.instances.host[row]] == move.destination
    )


class _Turn:
    """One look at all that waits, and what it decides."""

    def __init__(
        self,
        fleet: columns.Fleet,
        places: slots.Slots,
        review: Review,
        unsettled: collections.abc.Container[str],
    ) -> None:
        self.fleet = fleet
        self.slots = places
        self.review = review
        self.decided: list[Start | Drop] = []
        self._unsettled = unsettled

    def too_early(self, moves: collections.abc.Iterable[plans.Move]) -> bool:
        """Say whether the fleet shows hosts of *moves* as they were."""
        return any(
            host in self._unsettled
            for move in moves
            for host in (move.source, move.destination)
        )
