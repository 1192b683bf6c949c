"""Which rows of QuickBooks' lists could not be read, and how much an iterator still had."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add; rows stay."""
    op.add_column("list_syncs", sa.Column("remaining", sa.Integer(), nullable=True))
    op.add_column("list_syncs", sa.Column("skipped", sa.JSON(), server_default=sa.text("'[]'"), nullable=False))


def downgrade() -> None:
    """Take the additions back."""
    op.drop_column("list_syncs", "skipped")
    op.drop_column("list_syncs", "remaining")
