"""Outcomes that the agent tells, until the broker has them."""

from alembic import op
import sqlalchemy as sa

from kvm_balancer.store import columns

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        'announcements',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('migration_id', sa.String(36), nullable=False),
        sa.Column('payload', columns.LONG_BYTES, nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_announcements'),
    )


def downgrade() -> None:
    """Take the schema back to the version before; what waits is lost."""
    op.drop_table('announcements')
