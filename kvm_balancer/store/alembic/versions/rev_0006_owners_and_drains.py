"""Who carries a migration out, and which hosts are drained."""

from alembic import op
import sqlalchemy as sa

from kvm_balancer.store import columns

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.add_column(
        'migrations', sa.Column('owner', sa.String(32), nullable=True)
    )
    op.create_table(
        'drains',
        sa.Column('host', sa.String(255), nullable=False),
        sa.Column('reason', sa.Text(), nullable=False),
        sa.Column('begun_at', columns.UtcTime(), nullable=False),
        sa.Column('disabled_in_nova', sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint('host', name='pk_drains'),
    )


def downgrade() -> None:
    """Take the schema back to the version before; what is new is lost."""
    op.drop_table('drains')
    op.drop_column('migrations', 'owner')
