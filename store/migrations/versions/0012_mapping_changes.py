"""What was changed in a mapping, so that it can be taken back; the order of the list of documents."""

import sqlalchemy as sa
from alembic import op

from store.online import create_index, drop_index

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add; rows stay."""
    op.create_table(
        "mapping_changes",
        sa.Column("id", _serial(), autoincrement=True, nullable=False),
        sa.Column("company_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("entries", sa.JSON(), nullable=False),
        sa.Column("entry_count", sa.Integer(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    create_index("ix_mapping_changes_company", "mapping_changes", ["company_id", "id"])
    create_index("ix_documents_company_created", "documents", ["company_id", "created_at"])
    create_index("ix_exports_company_created", "exports", ["company_id", "created_at"])


def downgrade() -> None:
    """Take the additions back."""
    drop_index("ix_exports_company_created", "exports")
    drop_index("ix_documents_company_created", "documents")
    op.drop_table("mapping_changes")


def _serial() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
