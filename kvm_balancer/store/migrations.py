"""Migrations: dispatched, under way, ended.

A migration enters with its dispatch, or with its outcome when no plan here
asked for it, and leaves only when it is purged. Its first definite outcome
is for good; ``unknown`` gives way to a later one, because whoever looked
again knows more.
"""

import dataclasses

import msgspec
import sqlalchemy
from sqlalchemy import orm

from kvm_balancer.migration import correction
from kvm_balancer.migration import request
from kvm_balancer.migration import states
from kvm_balancer.model import execution
from kvm_balancer.model import outcome as outcomes
from kvm_balancer.model import plan
from kvm_balancer.model import track as tracks
from kvm_balancer.store import database as db
from kvm_balancer.store import identity
from kvm_balancer.store import tables

#: The command was sent, and nothing was heard of it since.
DISPATCHED = 'dispatched'

_UNKNOWN = outcomes.OutcomeKind.UNKNOWN.value


@dataclasses.dataclass(frozen=True, slots=True)
class MigrationRecord:
    """One migration as it is known here.

    :ivar state: ``dispatched``, a state of :mod:`..migration.states`, or
        one of its ends
    :ivar outcome: None while it runs; so are all figures of its end
    :ivar track: empty while it runs
    """

    id: str
    plan_id: str | None
    instance: str
    source: str
    destination: str
    state: str
    accepted_at: float
    dispatched_at: float | None
    ended_at: float | None
    outcome: outcomes.OutcomeKind | None
    mode: plan.Mode | None
    reason: str
    total_ms: float | None
    downtime_ms: float | None
    transferred_mib: float | None
    iterations: int | None
    max_throttle_percent: int | None
    predicted: plan.Prediction | None
    story: tuple[outcomes.StoryLine, ...]
    track: tracks.Track


@dataclasses.dataclass(frozen=True, slots=True)
class LastMoved:
    """When each was last touched by a migration, seconds since the epoch.

    A migration that runs touches its instance and both hosts now; it is
    given with the time of its acceptance.
    """

    instances: dict[str, float]
    hosts: dict[str, float]


class MigrationStore:
    """The migrations in the agent's database.

    All methods raise StoreError when the database does not answer.
    """

    def __init__(self, database: db.Database) -> None:
        self._database = database

    @db.tried_again
    def record_dispatch(
        self,
        wanted: request.Request,
        at: float,
        position: int | None = None,
    ) -> bool:
        """Note that a migration was asked for; asking again changes nothing.

        :param position: the index of its move in the plan of the request
        :returns: whether it is new
        """
        with self._database.writer() as session:
            if session.get(tables.Migration, wanted.migration_id) is not None:
                return False
            session.add(_dispatched_row(wanted, at))
            if wanted.plan_id and position is not None:
                move = session.get(tables.Move, (wanted.plan_id, position))
                if move is not None:
                    move.state = execution.MoveState.DISPATCHED.value
                    move.migration_id = wanted.migration_id
            return True

    @db.tried_again
    def record_progress(
        self,
        migration_id: str,
        state: str,
        text: str,
        at: float,
        decision: int = 0,
    ) -> bool:
        """Add a line to the story of a migration that has not ended.

        :param decision: its number, where the line is one's
        :returns: False when it is not known here, or has ended: what comes
            late says nothing new
        """
        with self._database.writer() as session:
            row = _locked(session, migration_id)
            if row is None or row.outcome is not None:
                return False
            line = outcomes.StoryLine(at, state, text, decision)
            row.state = state
            row.story = _encode_story((*_decode_story(row.story), line))
            return True

    @db.tried_again
    def record_outcome(self, ended: outcomes.Outcome) -> bool:
        """Keep how a migration ended, also of one never dispatched here.

        :returns: whether it said anything new
        """
        with self._database.writer() as session:
            row = _locked(session, ended.migration_id)
            if row is None:
                row = tables.Migration(
                    id=ended.migration_id,
                    plan_id=ended.plan_id or None,
                    accepted_at=ended.accepted_at,
                    story=_encode_story(()),
                )
                session.add(row)
            elif row.outcome not in (None, _UNKNOWN) or (
                row.outcome == ended.outcome.value
            ):
                return False
            _fill(row, ended)
            session.execute(
                sqlalchemy.update(tables.Move)
                .where(tables.Move.migration_id == ended.migration_id)
                .values(state=ended.outcome.value, detail=ended.reason)
            )
            return True

    def latest(
        self,
        limit: int = 20,
        unknown: bool = False,
        instance: str | None = None,
        host: str | None = None,
    ) -> list[MigrationRecord]:
        """Return the newest *limit* migrations, newest first.

        :param unknown: only those whose outcome is unknown
        :param instance: only those of it: its id, or the beginning of it
        :param host: only those from or to it
        """
        table = tables.Migration
        query = (
            sqlalchemy.select(table)
            .order_by(table.accepted_at.desc(), table.id)
            .limit(limit)
        )
        if unknown:
            query = query.where(table.outcome == _UNKNOWN)
        if instance is not None:
            query = query.where(
                table.instance.startswith(instance, autoescape=True)
            )
        if host is not None:
            query = query.where(
                sqlalchemy.or_(table.source == host, table.destination == host)
            )
        return self._select(query)

    def get(self, migration_id: str) -> MigrationRecord:
        """Return one migration with its story.

        :param migration_id: its id, or the beginning of it
        :raises NotFound: when there is none, or more than one
        """
        with self._database.reader() as session:
            return _record(
                identity.find(
                    session, tables.Migration, migration_id, 'migration'
                )
            )

    def unfinished(self) -> list[MigrationRecord]:
        """Return the migrations without an outcome, oldest first."""
        table = tables.Migration
        return self._select(
            sqlalchemy.select(table)
            .where(table.outcome.is_(None))
            .order_by(table.accepted_at, table.id)
        )

    def completed(self, since: float) -> list[tuple[str, correction.Lesson]]:
        """Return what completed since then as it had been predicted.

        :returns: ids and lessons, oldest first
        """
        table = tables.Migration
        query = (
            sqlalchemy.select(table)
            .options(orm.defer(table.story), orm.defer(table.track))
            .where(
                table.outcome == outcomes.OutcomeKind.COMPLETED.value,
                table.ended_at >= since,
                table.predicted_seconds.is_not(None),
            )
            .order_by(table.ended_at, table.id)
        )
        with self._database.reader() as session:
            return [
                (row.id, lesson)
                for row in session.scalars(query)
                if (lesson := _lesson(row)) is not None
            ]

    def last_moved(self, since: float) -> LastMoved:
        """Say who was touched by a migration since then, for cooldowns."""
        table = tables.Migration
        touched = sqlalchemy.func.coalesce(table.ended_at, table.accepted_at)
        query = sqlalchemy.select(
            table.instance,
            table.source,
            table.destination,
            table.ended_at,
            table.accepted_at,
        ).where(sqlalchemy.or_(table.outcome.is_(None), touched >= since))
        found = LastMoved({}, {})
        with self._database.reader() as session:
            for (
                instance,
                source,
                destination,
                ended,
                accepted,
            ) in session.execute(query):
                at = accepted if ended is None else ended
                _later(found.instances, instance, at)
                _later(found.hosts, source, at)
                _later(found.hosts, destination, at)
        return found

    def purge(self, before: float) -> int:
        """Forget migrations that ended before that time.

        Those without an outcome, and unknown ones, stay: someone still has
        to look at them.

        :returns: how many
        """
        table = tables.Migration
        old = sqlalchemy.and_(
            table.ended_at < before, table.outcome != _UNKNOWN
        )
        with self._database.writer() as session:
            ids = list(session.scalars(sqlalchemy.select(table.id).where(old)))
            session.execute(sqlalchemy.delete(table).where(old))
        return len(ids)

    def _select(
        self, query: sqlalchemy.Select[tables.Migration]
    ) -> list[MigrationRecord]:
        with self._database.reader() as session:
            return [_record(row) for row in session.scalars(query)]


def _locked(
    session: orm.Session, migration_id: str
) -> tables.Migration | None:
    """Return a row that no other transaction changes meanwhile."""
    return session.get(tables.Migration, migration_id, with_for_update=True)


def _dispatched_row(wanted: request.Request, at: float) -> tables.Migration:
    row = tables.Migration(
        id=wanted.migration_id,
        plan_id=wanted.plan_id or None,
        instance=wanted.instance,
        source=wanted.source,
        destination=wanted.destination,
        state=DISPATCHED,
        accepted_at=wanted.accepted_at,
        dispatched_at=at,
        reason='',
        story=_encode_story(
            (outcomes.StoryLine(at, DISPATCHED, 'sent to the executor'),)
        ),
    )
    _fill_prediction(row, wanted.predicted)
    return row


def _fill(row: tables.Migration, ended: outcomes.Outcome) -> None:
    row.instance = ended.instance
    row.source = ended.source
    row.destination = ended.destination
    row.state = states.State(ended.outcome.value).value
    row.accepted_at = ended.accepted_at
    row.ended_at = ended.ended_at
    row.outcome = ended.outcome.value
    row.mode = ended.mode.value
    row.reason = ended.reason
    row.total_ms = ended.total_ms
    row.downtime_ms = ended.downtime_ms
    row.transferred_mib = ended.transferred_mib
    row.iterations = ended.iterations
    row.max_throttle_percent = ended.max_throttle_percent
    if ended.predicted is not None:
        _fill_prediction(row, ended.predicted)
    if ended.story:
        row.story = _encode_story(ended.story)
    if len(ended.track) or row.track is None:
        row.track = msgspec.json.encode(ended.track).decode()


def _fill_prediction(
    row: tables.Migration, predicted: plan.Prediction | None
) -> None:
    if predicted is None:
        return
    row.predicted_seconds = predicted.seconds
    row.predicted_downtime_ms = predicted.downtime_ms
    row.predicted_mib = predicted.mib
    row.predicted_mode = predicted.mode.value


def _record(row: tables.Migration) -> MigrationRecord:
    return MigrationRecord(
        id=row.id,
        plan_id=row.plan_id,
        instance=row.instance,
        source=row.source,
        destination=row.destination,
        state=row.state,
        accepted_at=row.accepted_at,
        dispatched_at=row.dispatched_at,
        ended_at=row.ended_at,
        outcome=outcomes.OutcomeKind(row.outcome) if row.outcome else None,
        mode=plan.Mode(row.mode) if row.mode else None,
        reason=row.reason,
        total_ms=row.total_ms,
        downtime_ms=row.downtime_ms,
        transferred_mib=row.transferred_mib,
        iterations=row.iterations,
        max_throttle_percent=row.max_throttle_percent,
        predicted=_prediction(row),
        story=_decode_story(row.story),
        track=_decode_track(row.track),
    )


def _lesson(row: tables.Migration) -> correction.Lesson | None:
    predicted = _prediction(row)
    if (
        predicted is None
        or row.mode is None
        or row.ended_at is None
        or row.total_ms is None
    ):
        return None
    return correction.Lesson(
        instance=row.instance,
        mode=plan.Mode(row.mode),
        ended_at=row.ended_at,
        predicted=predicted,
        seconds=row.total_ms / 1000.0,
        downtime_ms=row.downtime_ms,
        mib=row.transferred_mib or 0.0,
        planned=row.plan_id is not None,
    )


def _prediction(row: tables.Migration) -> plan.Prediction | None:
    if (
        row.predicted_seconds is None
        or row.predicted_downtime_ms is None
        or row.predicted_mib is None
        or row.predicted_mode is None
    ):
        return None
    return plan.Prediction(
        seconds=row.predicted_seconds,
        downtime_ms=row.predicted_downtime_ms,
        mib=row.predicted_mib,
        mode=plan.Mode(row.predicted_mode),
    )


def _encode_story(story: tuple[outcomes.StoryLine, ...]) -> str:
    return msgspec.json.encode(story).decode()


def _decode_story(text: str) -> tuple[outcomes.StoryLine, ...]:
    return msgspec.json.decode(text, type=tuple[outcomes.StoryLine, ...])


def _decode_track(text: str | None) -> tracks.Track:
    if text is None:
        return tracks.Track()
    return msgspec.json.decode(text, type=tracks.Track)


def _later(times: dict[str, float], name: str, at: float) -> None:
    times[name] = max(at, times.get(name, at))
