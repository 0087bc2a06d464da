"""Plans that were made, and how far each of their moves got."""

import dataclasses

import sqlalchemy
from sqlalchemy import orm

from kvm_balancer import errors
from kvm_balancer.messages import plan_document
from kvm_balancer.model import execution
from kvm_balancer.model import plan
from kvm_balancer.store import database as db
from kvm_balancer.store import identity
from kvm_balancer.store import tables


@dataclasses.dataclass(frozen=True, slots=True)
class MoveRecord:
    """One move of a kept plan.

    :ivar position: its index among the moves of the plan
    :ivar detail: why it is in its state; empty where there is nothing to say
    """

    position: int
    instance: str
    source: str
    destination: str
    reason: str
    state: execution.MoveState
    detail: str
    migration_id: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class PlanSummary:
    """One line of a list of plans.

    :ivar moves: how many moves it has
    """

    id: str
    created_at: float
    policy: str
    mode: execution.PlanMode
    state: execution.PlanState
    summary: str
    moves: int


@dataclasses.dataclass(frozen=True, slots=True)
class PlanRecord:
    """A kept plan: as it was made, and where its moves stand."""

    summary: PlanSummary
    plan: plan.Plan
    moves: tuple[MoveRecord, ...]


class PlanStore:
    """The plans in the agent's database.

    All methods raise StoreError when the database does not answer.
    """

    def __init__(self, database: db.Database) -> None:
        self._database = database

    def save(
        self,
        plan_id: str,
        created_at: float,
        mode: execution.PlanMode,
        made: plan.Plan,
    ) -> None:
        """Keep a new plan; its moves are all planned."""
        state = (
            execution.PlanState.ADVISED
            if mode is execution.PlanMode.ADVISE
            else execution.PlanState.RUNNING
        )
        row = tables.Plan(
            id=plan_id,
            created_at=created_at,
            policy=made.policy,
            mode=mode.value,
            state=state.value,
            summary=made.summary,
            document=plan_document.encode(made).decode(),
            moves=[
                tables.Move(
                    position=position,
                    instance=move.instance,
                    source=move.source,
                    destination=move.destination,
                    reason=move.reason,
                    state=execution.MoveState.PLANNED.value,
                    detail='',
                )
                for position, move in enumerate(made.moves)
            ],
        )
        with self._database.writer() as session:
            session.add(row)

    def latest(self, limit: int = 20) -> list[PlanSummary]:
        """Return the newest *limit* plans, newest first."""
        counts = (
            sqlalchemy.select(
                tables.Move.plan_id, sqlalchemy.func.count().label('moves')
            )
            .group_by(tables.Move.plan_id)
            .subquery()
        )
        query = (
            sqlalchemy.select(
                tables.Plan, sqlalchemy.func.coalesce(counts.c.moves, 0)
            )
            .outerjoin(counts, counts.c.plan_id == tables.Plan.id)
            # Documents are long, and nobody reads them in a list.
            .options(orm.defer(tables.Plan.document))
            .order_by(tables.Plan.created_at.desc(), tables.Plan.id)
            .limit(limit)
        )
        with self._database.reader() as session:
            return [
                _summary(row, moves) for row, moves in session.execute(query)
            ]

    def get(self, plan_id: str) -> PlanRecord:
        """Return one plan with its moves.

        :param plan_id: its id, or the beginning of it
        :raises NotFound: when there is none, or more than one
        """
        with self._database.reader() as session:
            row = identity.find(session, tables.Plan, plan_id, 'plan')
            return PlanRecord(
                summary=_summary(row, len(row.moves)),
                plan=plan_document.decode(row.document),
                moves=tuple(_move(move) for move in row.moves),
            )

    def set_state(self, plan_id: str, state: execution.PlanState) -> None:
        """Say where a plan stands.

        :raises NotFound: when there is none of that id
        """
        with self._database.writer() as session:
            identity.find(
                session, tables.Plan, plan_id, 'plan'
            ).state = state.value

    def set_move_state(
        self,
        plan_id: str,
        position: int,
        state: execution.MoveState,
        detail: str = '',
        migration_id: str | None = None,
    ) -> None:
        """Say where a move stands, and why; an id once set stays.

        :raises NotFound: when there is no such move
        """
        with self._database.writer() as session:
            move = session.get(tables.Move, (plan_id, position))
            if move is None:
                raise errors.NotFound(f'plan {plan_id} has no move {position}')
            move.state = state.value
            move.detail = detail
            move.migration_id = migration_id or move.migration_id

    def running(self) -> list[PlanRecord]:
        """Return the plans that were being carried out, oldest first."""
        query = (
            sqlalchemy.select(tables.Plan.id)
            .where(tables.Plan.state == execution.PlanState.RUNNING.value)
            .order_by(tables.Plan.created_at, tables.Plan.id)
        )
        with self._database.reader() as session:
            ids = list(session.scalars(query))
        return [self.get(plan_id) for plan_id in ids]

    def purge(self, before: float) -> int:
        """Forget plans made before that time, but running ones.

        :returns: how many
        """
        old = sqlalchemy.and_(
            tables.Plan.created_at < before,
            tables.Plan.state != execution.PlanState.RUNNING.value,
        )
        with self._database.writer() as session:
            ids = list(
                session.scalars(sqlalchemy.select(tables.Plan.id).where(old))
            )
            session.execute(sqlalchemy.delete(tables.Plan).where(old))
        return len(ids)


def _summary(row: tables.Plan, moves: int) -> PlanSummary:
    return PlanSummary(
        id=row.id,
        created_at=row.created_at,
        policy=row.policy,
        mode=execution.PlanMode(row.mode),
        state=execution.PlanState(row.state),
        summary=row.summary,
        moves=moves,
    )


def _move(row: tables.Move) -> MoveRecord:
    return MoveRecord(
        position=row.position,
        instance=row.instance,
        source=row.source,
        destination=row.destination,
        reason=row.reason,
        state=execution.MoveState(row.state),
        detail=row.detail,
        migration_id=row.migration_id,
    )
