"""How far the sync of QuickBooks' lists is, and which full pass saw an entry last."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add; rows stay."""
    op.add_column("list_entries", sa.Column("generation", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_list_entries_search", "list_entries", ["company_id", "name_key"])
    op.create_index("ix_list_entries_parent", "list_entries", ["company_id", "parent_list_id"])
    op.create_table(
        "company_syncs",
        sa.Column("company_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("wants_full", sa.Boolean(), nullable=False),
        *(
            sa.Column(name, TIME, nullable=True)
            for name in (
                *("requested_at", "started_at", "finished_at"),
                *("last_sync_at", "last_full_at", "last_lookback_at", "retry_at"),
            )
        ),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("file_key", sa.Text(), nullable=False),
        sa.Column("restore_time", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"]),
        sa.PrimaryKeyConstraint("company_id"),
    )
    op.create_table(
        "list_syncs",
        sa.Column("company_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("phase", sa.String(length=12), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("range_from", sa.Text(), nullable=False),
        sa.Column("is_ordered", sa.Boolean(), nullable=False),
        sa.Column("iterator", sa.String(length=60), nullable=False),
        sa.Column("iterator_of", sa.String(length=64), nullable=False),
        sa.Column("asked_in", sa.String(length=24), nullable=False),
        sa.Column("asked_max", sa.Integer(), nullable=False),
        sa.Column("widen", sa.Integer(), nullable=False),
        sa.Column("began_at", TIME, nullable=True),
        sa.Column("queries", sa.Integer(), nullable=False),
        sa.Column("since", sa.String(length=40), nullable=False),
        sa.Column("highest", sa.String(length=40), nullable=False),
        sa.Column("bound", sa.String(length=40), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("restarts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("needs_full", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("entries", "inactive", "gone")),
        *(sa.Column(name, TIME, nullable=True) for name in ("last_full_at", "last_sync_at")),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"]),
        sa.PrimaryKeyConstraint("company_id", "kind"),
    )


def downgrade() -> None:
    """Take the additions back."""
    op.drop_table("list_syncs")
    op.drop_table("company_syncs")
    op.drop_index("ix_list_entries_search", "list_entries")
    op.drop_index("ix_list_entries_parent", "list_entries")
    op.drop_column("list_entries", "generation")
