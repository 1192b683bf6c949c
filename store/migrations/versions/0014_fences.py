"""What a look-up asked for, how QuickBooks answered a set, and whether its record must stay there."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add; nothing is known of older sets, and none of them is a fence."""
    op.add_column("message_sets", sa.Column("asked", sa.JSON(), nullable=True))
    op.add_column("message_sets", sa.Column("set_status", sa.Integer(), nullable=True))
    op.add_column("message_sets", sa.Column("is_fence", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    """Take the additions back."""
    op.drop_column("message_sets", "is_fence")
    op.drop_column("message_sets", "set_status")
    op.drop_column("message_sets", "asked")
