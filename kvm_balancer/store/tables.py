"""The tables of the agent's database.

Every change here needs a migration in ``alembic/versions``; a test compares
the two. Times are UTC in the database and seconds since the epoch outside.
"""

import sqlalchemy
from sqlalchemy import orm
from sqlalchemy import types

from kvm_balancer.store import columns

_ID_LENGTH = 36
_NAME_LENGTH = 255
_WORD_LENGTH = 32


class Base(orm.DeclarativeBase):
    """Base of all tables; constraints have names, so that they can go."""

    metadata = sqlalchemy.MetaData(
        naming_convention={
            'ix': 'ix_%(table_name)s_%(column_0_N_name)s',
            'fk': 'fk_%(table_name)s_%(referred_table_name)s',
            'pk': 'pk_%(table_name)s',
        }
    )
    type_annotation_map = {str: types.String(_NAME_LENGTH)}


class Plan(Base):
    """A plan as it was made, and what became of it."""

    __tablename__ = 'plans'

    id: orm.Mapped[str] = orm.mapped_column(
        types.String(_ID_LENGTH), primary_key=True
    )
    created_at: orm.Mapped[float] = orm.mapped_column(
        columns.UtcTime, index=True
    )
    policy: orm.Mapped[str]
    mode: orm.Mapped[str] = orm.mapped_column(types.String(_WORD_LENGTH))
    state: orm.Mapped[str] = orm.mapped_column(
        types.String(_WORD_LENGTH), index=True
    )
    summary: orm.Mapped[str] = orm.mapped_column(types.Text)
    document: orm.Mapped[str] = orm.mapped_column(columns.LONG_TEXT)
    moves: orm.Mapped[list['Move']] = orm.relationship(
        order_by='Move.position',
        cascade='all, delete-orphan',
        passive_deletes=True,
    )


class Move(Base):
    """One move of a plan, by its place in it."""

    __tablename__ = 'moves'

    plan_id: orm.Mapped[str] = orm.mapped_column(
        types.String(_ID_LENGTH),
        sqlalchemy.ForeignKey('plans.id', ondelete='CASCADE'),
        primary_key=True,
    )
    position: orm.Mapped[int] = orm.mapped_column(
        primary_key=True, autoincrement=False
    )
    instance: orm.Mapped[str]
    source: orm.Mapped[str]
    destination: orm.Mapped[str]
    reason: orm.Mapped[str] = orm.mapped_column(types.Text)
    state: orm.Mapped[str] = orm.mapped_column(types.String(_WORD_LENGTH))
    detail: orm.Mapped[str] = orm.mapped_column(types.Text)
    migration_id: orm.Mapped[str | None] = orm.mapped_column(
        types.String(_ID_LENGTH), index=True
    )


class Migration(Base):
    """One migration, from its dispatch to its outcome.

    It stands by itself: it outlives its plan, and outcomes of migrations
    that no plan here asked for are kept as well.
    """

    __tablename__ = 'migrations'

    id: orm.Mapped[str] = orm.mapped_column(
        types.String(_ID_LENGTH), primary_key=True
    )
    plan_id: orm.Mapped[str | None] = orm.mapped_column(
        types.String(_ID_LENGTH), index=True
    )
    instance: orm.Mapped[str] = orm.mapped_column(index=True)
    source: orm.Mapped[str] = orm.mapped_column(index=True)
    destination: orm.Mapped[str] = orm.mapped_column(index=True)
    state: orm.Mapped[str] = orm.mapped_column(
        types.String(_WORD_LENGTH), index=True
    )
    # who carries it out; nothing for the executor of its source
    owner: orm.Mapped[str | None] = orm.mapped_column(
        types.String(_WORD_LENGTH)
    )
    accepted_at: orm.Mapped[float] = orm.mapped_column(
        columns.UtcTime, index=True
    )
    dispatched_at: orm.Mapped[float | None] = orm.mapped_column(
        columns.UtcTime
    )
    ended_at: orm.Mapped[float | None] = orm.mapped_column(
        columns.UtcTime, index=True
    )
    outcome: orm.Mapped[str | None] = orm.mapped_column(
        types.String(_WORD_LENGTH)
    )
    mode: orm.Mapped[str | None] = orm.mapped_column(
        types.String(_WORD_LENGTH)
    )
    reason: orm.Mapped[str] = orm.mapped_column(types.Text)
    total_ms: orm.Mapped[float | None] = orm.mapped_column(types.Double)
    downtime_ms: orm.Mapped[float | None] = orm.mapped_column(types.Double)
    transferred_mib: orm.Mapped[float | None] = orm.mapped_column(types.Double)
    iterations: orm.Mapped[int | None]
    max_throttle_percent: orm.Mapped[int | None]
    predicted_seconds: orm.Mapped[float | None] = orm.mapped_column(
        types.Double
    )
    predicted_downtime_ms: orm.Mapped[float | None] = orm.mapped_column(
        types.Double
    )
    predicted_mib: orm.Mapped[float | None] = orm.mapped_column(types.Double)
    predicted_mode: orm.Mapped[str | None] = orm.mapped_column(
        types.String(_WORD_LENGTH)
    )
    predicted_converges: orm.Mapped[bool | None]
    predicted_throttled: orm.Mapped[bool | None]
    predicted_fixed_seconds: orm.Mapped[float | None] = orm.mapped_column(
        types.Double
    )
    predicted_disk_mib: orm.Mapped[float | None] = orm.mapped_column(
        types.Double
    )
    predicted_disk_seconds: orm.Mapped[float | None] = orm.mapped_column(
        types.Double
    )
    predicted_limit_mib_s: orm.Mapped[float | None] = orm.mapped_column(
        types.Double
    )
    # what was predicted before past migrations corrected it
    uncorrected_copying_seconds: orm.Mapped[float | None] = orm.mapped_column(
        types.Double
    )
    uncorrected_downtime_ms: orm.Mapped[float | None] = orm.mapped_column(
        types.Double
    )
    uncorrected_mib: orm.Mapped[float | None] = orm.mapped_column(types.Double)
    copying_ms: orm.Mapped[float | None] = orm.mapped_column(types.Double)
    fixed_ms: orm.Mapped[float | None] = orm.mapped_column(types.Double)
    story: orm.Mapped[str] = orm.mapped_column(columns.LONG_TEXT)
    track: orm.Mapped[str | None] = orm.mapped_column(columns.LONG_TEXT)


class Memory(Base):
    """Something that the agent has learned."""

    __tablename__ = 'memories'

    name: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    changed_at: orm.Mapped[float] = orm.mapped_column(columns.UtcTime)
    body: orm.Mapped[bytes] = orm.mapped_column(columns.LONG_BYTES)


class Drain(Base):
    """A host that is being emptied, or is empty, on purpose.

    It is one until somebody takes it back, whatever became of the agent.
    """

    __tablename__ = 'drains'

    host: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    reason: orm.Mapped[str] = orm.mapped_column(types.Text)
    begun_at: orm.Mapped[float] = orm.mapped_column(columns.UtcTime)
    # Nova's service was enabled, and was disabled for this
    disabled_in_nova: orm.Mapped[bool]


class Announcement(Base):
    """An outcome that the agent tells, until the broker has it."""

    __tablename__ = 'announcements'

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    migration_id: orm.Mapped[str] = orm.mapped_column(types.String(_ID_LENGTH))
    payload: orm.Mapped[bytes] = orm.mapped_column(columns.LONG_BYTES)
