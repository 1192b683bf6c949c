"""Which company file is the right one, what we last saw in its books, and what is not in them any more."""

import sqlalchemy as sa
from alembic import op

from store.online import create_index, drop_index

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add; companies that are bound stay so, and their books are known after the next session."""
    op.add_column("companies", sa.Column("confirm_first_file", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("companies", sa.Column("file_question", sa.JSON(), nullable=True))
    op.add_column("companies", sa.Column("books", sa.JSON(), nullable=True))
    op.add_column("exports", sa.Column("generation", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.add_column("exports", sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("exports", sa.Column("missing_answer", sa.JSON(), nullable=True))
    for name, column_type, default in (
        ("company_file", sa.Text(), ""),
        ("is_elsewhere", sa.Boolean(), sa.false()),
        ("books_asked", sa.Integer(), sa.text("0")),
        ("books_seen", sa.Boolean(), sa.false()),
    ):
        op.add_column("web_connector_sessions", sa.Column(name, column_type, server_default=default, nullable=False))
    create_index("ix_companies_owner", "companies", ["owner_id"])
    create_index("ix_exports_missing", "exports", ["company_id", "id"], where="missing_since IS NOT NULL")


def downgrade() -> None:
    """Take the additions back."""
    drop_index("ix_exports_missing", "exports")
    drop_index("ix_companies_owner", "companies")
    for name in ("books_seen", "books_asked", "is_elsewhere", "company_file"):
        op.drop_column("web_connector_sessions", name)
    for name in ("missing_answer", "missing_since", "generation"):
        op.drop_column("exports", name)
    for name in ("books", "file_question", "confirm_first_file"):
        op.drop_column("companies", name)
