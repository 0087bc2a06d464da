"""What was predicted before it was corrected, and how it would end."""

from alembic import op
import sqlalchemy as sa

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

_FLAGS = ('predicted_converges', 'predicted_throttled')
_FIGURES = (
    'predicted_fixed_seconds',
    'uncorrected_copying_seconds',
    'uncorrected_downtime_ms',
    'uncorrected_mib',
    'copying_ms',
    'fixed_ms',
)


def upgrade() -> None:
    """Bring the schema to this version."""
    for name in _FLAGS:
        op.add_column(
            'migrations', sa.Column(name, sa.Boolean(), nullable=True)
        )
    for name in _FIGURES:
        op.add_column(
            'migrations', sa.Column(name, sa.Double(), nullable=True)
        )


def downgrade() -> None:
    """Take the schema back to the version before; what is new is lost."""
    for name in (*_FIGURES, *_FLAGS):
        op.drop_column('migrations', name)
