"""Plans, their moves, and migrations."""

from alembic import op
import sqlalchemy as sa

from kvm_balancer.store import columns

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def _id() -> sa.String:
    return sa.String(36)


def _name() -> sa.String:
    return sa.String(255)


def _word() -> sa.String:
    return sa.String(32)


def upgrade() -> None:
    """Bring the schema to this version."""
    _create_plans()
    _create_moves()
    _create_migrations()


def _create_plans() -> None:
    op.create_table(
        'plans',
        sa.Column('id', _id(), nullable=False),
        sa.Column('created_at', columns.UtcTime(), nullable=False),
        sa.Column('policy', _name(), nullable=False),
        sa.Column('mode', _word(), nullable=False),
        sa.Column('state', _word(), nullable=False),
        sa.Column('summary', sa.Text(), nullable=False),
        sa.Column('document', columns.LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_plans'),
    )
    _index('plans', 'created_at', 'state')


def _create_moves() -> None:
    op.create_table(
        'moves',
        sa.Column('plan_id', _id(), nullable=False),
        sa.Column(
            'position', sa.Integer(), nullable=False, autoincrement=False
        ),
        sa.Column('instance', _name(), nullable=False),
        sa.Column('source', _name(), nullable=False),
        sa.Column('destination', _name(), nullable=False),
        sa.Column('reason', sa.Text(), nullable=False),
        sa.Column('state', _word(), nullable=False),
        sa.Column('detail', sa.Text(), nullable=False),
        sa.Column('migration_id', _id(), nullable=True),
        sa.ForeignKeyConstraint(
            ['plan_id'],
            ['plans.id'],
            name='fk_moves_plans',
            ondelete='CASCADE',
        ),
        sa.PrimaryKeyConstraint('plan_id', 'position', name='pk_moves'),
    )
    _index('moves', 'migration_id')


def _create_migrations() -> None:
    op.create_table(
        'migrations',
        sa.Column('id', _id(), nullable=False),
        sa.Column('plan_id', _id(), nullable=True),
        sa.Column('instance', _name(), nullable=False),
        sa.Column('source', _name(), nullable=False),
        sa.Column('destination', _name(), nullable=False),
        sa.Column('state', _word(), nullable=False),
        sa.Column('accepted_at', columns.UtcTime(), nullable=False),
        sa.Column('dispatched_at', columns.UtcTime(), nullable=True),
        sa.Column('ended_at', columns.UtcTime(), nullable=True),
        sa.Column('outcome', _word(), nullable=True),
        sa.Column('mode', _word(), nullable=True),
        sa.Column('reason', sa.Text(), nullable=False),
        sa.Column('total_ms', sa.Double(), nullable=True),
        sa.Column('downtime_ms', sa.Double(), nullable=True),
        sa.Column('transferred_mib', sa.Double(), nullable=True),
        sa.Column('iterations', sa.Integer(), nullable=True),
        sa.Column('max_throttle_percent', sa.Integer(), nullable=True),
        sa.Column('predicted_seconds', sa.Double(), nullable=True),
        sa.Column('predicted_downtime_ms', sa.Double(), nullable=True),
        sa.Column('predicted_mib', sa.Double(), nullable=True),
        sa.Column('predicted_mode', _word(), nullable=True),
        sa.Column('story', columns.LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_migrations'),
    )
    _index(
        'migrations',
        'plan_id',
        'instance',
        'source',
        'destination',
        'state',
        'accepted_at',
        'ended_at',
    )


def _index(table: str, *names: str) -> None:
    for name in names:
        op.create_index(f'ix_{table}_{name}', table, [name])
