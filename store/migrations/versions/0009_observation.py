"""The trace that an export belongs to, and small indexes over what is open, for metrics and operators' questions."""

import sqlalchemy as sa
from alembic import op

from store.online import create_index, drop_index

revision = "0009"
down_revision = "0006"
branch_labels = None
depends_on = None

OPEN_REQUESTS = "state IN ('waiting', 'in_flight')"
OPEN_SETS = "state = 'sent'"
OPEN_EXPORTS = "state <> 'Successful'"
INDEXES = (
    ("ix_requests_open", "requests", ["state", "created_at", "company_id"], OPEN_REQUESTS),
    ("ix_message_sets_unanswered", "message_sets", ["kind", "sent_at"], OPEN_SETS),
    ("ix_exports_unsuccessful", "exports", ["state", "updated_at"], OPEN_EXPORTS),
)


def upgrade() -> None:
    """Add; rows stay. Exports from before belong to no trace."""
    op.add_column("exports", sa.Column("traceparent", sa.String(length=55), nullable=True))
    op.add_column("outbox", sa.Column("traceparent", sa.String(length=55), nullable=True))
    for name, table, columns, where in INDEXES:
        create_index(name, table, columns, where=where)


def downgrade() -> None:
    """Take the additions back."""
    for name, table, _columns, _where in INDEXES:
        drop_index(name, table)
    op.drop_column("outbox", "traceparent")
    op.drop_column("exports", "traceparent")
