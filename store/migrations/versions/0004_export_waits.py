"""What failed exports wait for, and whether a company wants them started again by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column and a table; rows stay."""
    op.add_column("companies", sa.Column("auto_retry", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_table(
        "export_waits",
        sa.Column("export_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("company_id", sa.String(length=64), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"]),
        sa.ForeignKeyConstraint(["export_id"], ["exports.id"]),
        sa.PrimaryKeyConstraint("export_id", "key"),
    )
    op.create_index("ix_export_waits_key", "export_waits", ["company_id", "key"])
    op.create_index("ix_export_waits_released", "export_waits", ["company_id", "released_at"])


def downgrade() -> None:
    """Take the additions back."""
    op.drop_table("export_waits")
    op.drop_column("companies", "auto_retry")
