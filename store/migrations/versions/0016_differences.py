"""Which exports QuickBooks holds otherwise than they were meant."""

import sqlalchemy as sa
from alembic import op

from store.online import create_index, drop_index

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add; of what was written before, nothing was compared."""
    op.add_column("exports", sa.Column("has_differences", sa.Boolean(), server_default=sa.false(), nullable=False))
    create_index("ix_exports_differing", "exports", ["company_id", "id"], where="has_differences")


def downgrade() -> None:
    """Take the additions back."""
    drop_index("ix_exports_differing", "exports")
    op.drop_column("exports", "has_differences")
