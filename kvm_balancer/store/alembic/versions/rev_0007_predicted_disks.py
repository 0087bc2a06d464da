"""What copying disks was predicted to add to a migration."""

from alembic import op
import sqlalchemy as sa

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

_COLUMNS = ('predicted_disk_mib', 'predicted_disk_seconds')


def upgrade() -> None:
    """Bring the schema to this version."""
    for name in _COLUMNS:
        op.add_column('migrations', sa.Column(name, sa.Double()))


def downgrade() -> None:
    """Take the schema back to the version before; what is new is lost."""
    for name in _COLUMNS:
        op.drop_column('migrations', name)
