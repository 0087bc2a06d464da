"""How migrations went over time."""

from alembic import op
import sqlalchemy as sa

from kvm_balancer.store import columns

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.add_column(
        'migrations', sa.Column('track', columns.LONG_TEXT, nullable=True)
    )


def downgrade() -> None:
    """Take the schema back to the version before; tracks are lost."""
    op.drop_column('migrations', 'track')
