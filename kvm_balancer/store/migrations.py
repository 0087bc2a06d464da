"""Migrations: dispatched, under way, ended.

A migration enters with its dispatch, or with its outcome when no plan here
asked for it, and leaves only when it is purged. Its first definite outcome
is for good; ``unknown`` gives way to a later one, to another finding, and to
news that it runs on, because whoever looked again knows more.
"""

import collections.abc
import dataclasses
import math

import msgspec
import sqlalchemy
from sqlalchemy import orm

from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import correction
from kvm_balancer.migration.foresight import sharing
from kvm_balancer.model import execution
from kvm_balancer.model import outcome as outcomes
from kvm_balancer.store import database as db
from kvm_balancer.store import identity
from kvm_balancer.store import migration_records as records
from kvm_balancer.store import tables

_UNKNOWN = outcomes.OutcomeKind.UNKNOWN.value


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """The way that a migration went, or was to go, and when it ended."""

    source: str
    destination: str
    at: float
    completed: bool


@dataclasses.dataclass(frozen=True, slots=True)
class LastMoved:
    """When each was last touched by a migration, seconds since the epoch.

    A migration that runs touches its instance and both hosts now; it is
    given with the time of its acceptance.

    :ivar ended: by instance, the last one whose end is known
    """

    instances: dict[str, float]
    hosts: dict[str, float]
    ended: dict[str, Ended]


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
            session.add(records.dispatched(wanted, at))
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
        """Add a line to the story of a migration that has not ended for good.

        One that is unknown stays so, whatever is done about it, until it is
        known to run on.

        :param decision: its number, where the line is one's
        :returns: False when it is not known here, or has ended: what comes
            late says nothing new
        """
        with self._database.writer() as session:
            row = _locked(session, migration_id)
            if row is None or row.outcome not in (None, _UNKNOWN):
                return False
            _stand(session, row, state, at)
            row.story = records.longer_story(
                row.story, outcomes.StoryLine(at, state, text, decision)
            )
            return True

    @db.tried_again
    def record_state(self, migration_id: str, state: str, at: float) -> None:
        """Keep where one stands that was told to be unknown."""
        with self._database.writer() as session:
            row = _locked(session, migration_id)
            if row is not None:
                _stand(session, row, state, at)

    @db.tried_again
    def record_outcome(
        self, ended: outcomes.Outcome, announce: bool = False
    ) -> bool:
        """Keep how a migration ended, also of one never dispatched here.

        :param announce: nobody else tells it: where it says anything new, it
            waits among the announcements from then on
        :returns: whether it did
        """
        with self._database.writer() as session:
            row = _locked(session, ended.migration_id)
            if row is None:
                row = tables.Migration(
                    id=ended.migration_id,
                    plan_id=ended.plan_id or None,
                    accepted_at=ended.accepted_at,
                    story=records.NO_STORY,
                )
                session.add(row)
            elif not records.is_news(row, ended):
                return False
            if announce:
                session.add(_announcement(ended))
            if row.outcome == _UNKNOWN or len(ended.story) == 1:
                # Who has one line alone tells for an executor that does not.
                ended = records.with_story_before(row, ended)
            records.fill(row, ended)
            _set_move(session, row.id, ended.outcome.value, ended.reason)
            return True

    def latest(
        self,
        limit: int | None = 20,
        unknown: bool = False,
        instance: str | None = None,
        host: str | None = None,
    ) -> list[records.MigrationRecord]:
        """Return the newest *limit* migrations, newest first.

        :param limit: None for all
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

    def get(self, migration_id: str) -> records.MigrationRecord:
        """Return one migration with its story.

        :param migration_id: its id, or the beginning of it
        :raises NotFound: when there is none, or more than one
        """
        with self._database.reader() as session:
            return records.record(
                identity.find(
                    session, tables.Migration, migration_id, 'migration'
                )
            )

    def unfinished(self) -> list[records.MigrationRecord]:
        """Return the migrations without an outcome, oldest first."""
        table = tables.Migration
        return self._select(
            sqlalchemy.select(table)
            .where(table.outcome.is_(None))
            .order_by(table.accepted_at, table.id)
        )

    def unknown(
        self, owner: str | None = None
    ) -> list[records.MigrationRecord]:
        """Return the migrations whose outcome is unknown, oldest first.

        :param owner: who carried them out, ``balancer`` or ``nova``; None for
            all
        """
        table = tables.Migration
        found = self._select(
            sqlalchemy.select(table)
            .where(table.outcome == _UNKNOWN)
            .order_by(table.accepted_at, table.id)
        )
        return [one for one in found if owner in (None, one.owner)]

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
            rows = session.scalars(query).all()
            shared = _sharing(session, rows)
            return [
                (row.id, lesson)
                for row in rows
                if (lesson := records.lesson(row, row.id not in shared))
                is not None
            ]

    def last_moved(self, since: float) -> LastMoved:
        """Say who was touched by a migration since then, and how."""
        table = tables.Migration
        touched = sqlalchemy.func.coalesce(table.ended_at, table.accepted_at)
        query = sqlalchemy.select(
            table.instance,
            table.source,
            table.destination,
            table.ended_at,
            table.accepted_at,
            table.outcome,
        ).where(sqlalchemy.or_(table.outcome.is_(None), touched >= since))
        found = LastMoved({}, {}, {})
        with self._database.reader() as session:
            for one in session.execute(query):
                at = one.accepted_at if one.ended_at is None else one.ended_at
                _later(found.instances, one.instance, at)
                _later(found.hosts, one.source, at)
                _later(found.hosts, one.destination, at)
                if one.outcome in (None, _UNKNOWN):
                    continue
                before = found.ended.get(one.instance)
                if before is None or before.at <= at:
                    found.ended[one.instance] = Ended(
                        one.source,
                        one.destination,
                        at,
                        one.outcome == outcomes.OutcomeKind.COMPLETED.value,
                    )
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
    ) -> list[records.MigrationRecord]:
        with self._database.reader() as session:
            return [records.record(row) for row in session.scalars(query)]


def _locked(
    session: orm.Session, migration_id: str
) -> tables.Migration | None:
    """Return a row that no other transaction changes meanwhile."""
    return session.get(tables.Migration, migration_id, with_for_update=True)


def _stand(
    session: orm.Session, row: tables.Migration, state: str, at: float
) -> None:
    """Keep where one stands, with its move."""
    if not records.stand(row, state, at):
        return
    if row.outcome is None:
        _set_move(session, row.id, execution.MoveState.DISPATCHED.value, '')
    else:
        _set_move(session, row.id, row.outcome, row.reason)


def _set_move(
    session: orm.Session, migration_id: str, state: str, detail: str
) -> None:
    session.execute(
        sqlalchemy.update(tables.Move)
        .where(tables.Move.migration_id == migration_id)
        .values(state=state, detail=detail)
    )


def _announcement(ended: outcomes.Outcome) -> tables.Announcement:
    return tables.Announcement(
        migration_id=ended.migration_id,
        payload=msgspec.json.encode(messages.encode_outcome(ended)),
    )


def _sharing(
    session: orm.Session, rows: collections.abc.Sequence[tables.Migration]
) -> set[str]:
    """Return which of *rows* used a host together with any migration.

    Whatever became of that, also while it runs, and whether or not it was
    predicted.
    """
    if not rows:
        return set()
    table = tables.Migration
    first = min(row.accepted_at for row in rows)
    query = sqlalchemy.select(
        table.id,
        table.source,
        table.destination,
        table.accepted_at,
        table.ended_at,
    ).where(sqlalchemy.or_(table.ended_at.is_(None), table.ended_at >= first))
    return sharing.sharing(
        sharing.Use(
            one.id,
            (one.source, one.destination),
            one.accepted_at,
            math.inf if one.ended_at is None else one.ended_at,
        )
        for one in session.execute(query)
    )


def _later(times: dict[str, float], name: str, at: float) -> None:
    times[name] = max(at, times.get(name, at))
