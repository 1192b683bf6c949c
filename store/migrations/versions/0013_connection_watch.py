"""When each company's connection is looked at next, and which silences were told."""

import sqlalchemy as sa
from alembic import op

from store.online import create_index, drop_index

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

LONG_AGO = sa.text("'2000-01-01 00:00:00'")


def upgrade() -> None:
    """Add; rows stay, and are looked at first."""
    op.create_table(
        "watches",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.add_column(
        "companies", sa.Column("look_at", sa.DateTime(timezone=True), server_default=LONG_AGO, nullable=False)
    )
    op.add_column("companies", sa.Column("silent_since", sa.DateTime(timezone=True), nullable=True))
    create_index("ix_companies_look", "companies", ["look_at"], where="silent_since IS NULL")
    create_index("ix_companies_silent", "companies", ["silent_since"], where="silent_since IS NOT NULL")


def downgrade() -> None:
    """Take the additions back."""
    drop_index("ix_companies_silent", "companies")
    drop_index("ix_companies_look", "companies")
    op.drop_column("companies", "silent_since")
    op.drop_column("companies", "look_at")
    op.drop_table("watches")
