"""What the agent has learned, by name."""

from alembic import op
import sqlalchemy as sa

from kvm_balancer.store import columns

revision = '0005'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        'memories',
        sa.Column('name', sa.String(255), nullable=False),
        sa.Column('changed_at', columns.UtcTime(), nullable=False),
        sa.Column('body', columns.LONG_BYTES, nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_memories')),
    )


def downgrade() -> None:
    """Take the schema back to the version before; what was learned is lost."""
    op.drop_table('memories')
