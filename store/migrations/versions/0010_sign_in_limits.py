"""Counts of wrong passwords of Web Connectors, and the address from which a company signed in last."""

import sqlalchemy as sa
from alembic import op

from store.online import create_index

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add; rows stay, and programs from before do not see the difference."""
    op.add_column("companies", sa.Column("last_address", sa.String(length=45), nullable=True))
    op.create_table(
        "sign_in_failures",
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    create_index("ix_sign_in_failures_since", "sign_in_failures", ["since"])
