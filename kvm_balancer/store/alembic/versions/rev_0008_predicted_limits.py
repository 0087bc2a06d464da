"""The limit of the bandwidth that a migration was predicted with."""

from alembic import op
import sqlalchemy as sa

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.add_column(
        'migrations', sa.Column('predicted_limit_mib_s', sa.Double())
    )


def downgrade() -> None:
    """Take the schema back to the version before; what is new is lost."""
    op.drop_column('migrations', 'predicted_limit_mib_s')
