"""Restores, preferences, the computer of a session, QuickBooks' lists; two columns that nothing read are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add and drop; rows stay. Without batches: a table that others point to cannot be made anew on SQLite."""
    op.add_column("companies", sa.Column("preferences", sa.JSON(), nullable=True))
    op.add_column("companies", sa.Column("rebind_requested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("companies", sa.Column("last_restore_time", sa.String(length=40), nullable=True))
    op.add_column("web_connector_sessions", sa.Column("host", sa.String(length=100), nullable=True))
    op.create_index("ix_outbox_workflow", "outbox", ["workflow_id"])
    op.drop_column("web_connector_sessions", "progress")
    op.drop_column("web_connector_sessions", "connection_errors")
    op.create_table(
        "list_entries",
        sa.Column("company_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("list_id", sa.String(length=36), nullable=False),
        sa.Column("full_name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_gone", sa.Boolean(), nullable=False),
        sa.Column("parent_list_id", sa.String(length=36), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("time_modified", sa.String(length=40), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"]),
        sa.PrimaryKeyConstraint("company_id", "kind", "list_id"),
    )
    op.create_index("ix_list_entries_name", "list_entries", ["company_id", "kind", "name_key"])


def downgrade() -> None:
    """Take the additions back."""
    op.drop_table("list_entries")
    op.drop_index("ix_outbox_workflow", "outbox")
    for name in ("progress", "connection_errors"):
        op.add_column("web_connector_sessions", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.drop_column("web_connector_sessions", "host")
    op.drop_column("companies", "last_restore_time")
    op.drop_column("companies", "rebind_requested_at")
    op.drop_column("companies", "preferences")
