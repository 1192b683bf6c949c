"""Which life of the database this is, and the companies whose last writes it may have lost."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add; nothing is known of what the database was before."""
    op.create_table(
        "epochs",
        sa.Column("name", sa.String(20), primary_key=True),
        sa.Column("identity", sa.Text(), nullable=True),
        sa.Column("started", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_certain", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("companies", sa.Column("doubt_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("companies", sa.Column("look_everything_since", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Take the additions back."""
    op.drop_column("companies", "look_everything_since")
    op.drop_column("companies", "doubt_since")
    op.drop_table("epochs")
