"""The web console: sessions, used links, a company's quiet hours.

Revision ID: 0011
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.online import create_index

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new; programs of the version before go on working."""
    op.add_column("companies", sa.Column("quiet_hours", sa.JSON(), nullable=True))
    op.create_table(
        "console_sessions",
        sa.Column("id_hash", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=20), nullable=True),
        sa.Column("company_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("expires_at", _time(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"]),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"]),
        sa.PrimaryKeyConstraint("id_hash"),
    )
    create_index("ix_console_sessions_key_id", "console_sessions", ["key_id"])
    create_index("ix_console_sessions_expires_at", "console_sessions", ["expires_at"])
    op.create_table(
        "console_links_used",
        sa.Column("id_hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", _time(), nullable=False),
        sa.Column("expires_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("id_hash"),
    )
    create_index("ix_console_links_used_expires_at", "console_links_used", ["expires_at"])


def downgrade() -> None:
    """Take the additions back."""
    op.drop_table("console_links_used")
    op.drop_table("console_sessions")
    op.drop_column("companies", "quiet_hours")


def _time() -> sa.DateTime:
    return sa.DateTime(timezone=True)
