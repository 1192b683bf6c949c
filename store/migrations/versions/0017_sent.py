"""What was sent, beside what the mapping says today; what was mapped with which mapping."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add; rows stay. What waits is mapped again once the mapping changes."""
    op.add_column("exports", sa.Column("sent", sa.JSON(), nullable=True))
    op.add_column("requests", sa.Column("currency", sa.String(length=100), nullable=True))
    op.add_column("requests", sa.Column("mapping_version", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("companies", sa.Column("mapping_version", sa.Integer(), server_default=sa.text("0"), nullable=False))


def downgrade() -> None:
    """Take the additions back."""
    op.drop_column("companies", "mapping_version")
    op.drop_column("requests", "mapping_version")
    op.drop_column("requests", "currency")
    op.drop_column("exports", "sent")
