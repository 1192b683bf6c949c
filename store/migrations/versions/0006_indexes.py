"""Indexes for what is asked often: exports and documents by page and filter, sessions, message sets, what is due."""

from store.online import create_index, drop_index

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NEW: list[tuple[str, str, list[str]]] = [
    ("ix_exports_company_id", "exports", ["company_id", "id"]),
    ("ix_exports_company_state", "exports", ["company_id", "state", "id"]),
    ("ix_exports_company_owner", "exports", ["company_id", "owner", "id"]),
    ("ix_exports_company_number", "exports", ["company_id", "number"]),
    ("ix_documents_company_id", "documents", ["company_id", "id"]),
    ("ix_message_sets_history", "message_sets", ["company_id", "kind", "state", "sent_at", "seq"]),
    ("ix_message_sets_about", "message_sets", ["about_set_id"]),
    ("ix_web_connector_sessions_started", "web_connector_sessions", ["company_id", "started_at"]),
    ("ix_web_connector_sessions_open", "web_connector_sessions", ["state", "company_id"]),
    ("ix_export_waits_due", "export_waits", ["released_at", "company_id"]),
    ("ix_export_waits_entry", "export_waits", ["company_id", "key", "released_at"]),
    ("ix_list_entries_page", "list_entries", ["company_id", "kind", "name_key", "list_id"]),
    ("ix_incidents_company_at", "incidents", ["company_id", "at"]),
    ("ix_webhook_deliveries_finished", "webhook_deliveries", ["company_id", "finished_at"]),
]
REPLACED = [
    ("ix_message_sets_open", "message_sets", ["company_id", "state"]),
    ("ix_web_connector_sessions_company_id", "web_connector_sessions", ["company_id"]),
    ("ix_incidents_company_id", "incidents", ["company_id"]),
    ("ix_export_waits_key", "export_waits", ["company_id", "key"]),
    ("ix_list_entries_name", "list_entries", ["company_id", "kind", "name_key"]),
]
"""The new ones answer what these did; each index less is a write less for every row."""


def upgrade() -> None:
    """Build the new ones first, so that nothing is slow in between."""
    for name, table, columns in NEW:
        create_index(name, table, columns)
    create_index("ix_outbox_waiting", "outbox", ["id"], where="delivered_at IS NULL")
    for name, table, _columns in REPLACED:
        drop_index(name, table)


def downgrade() -> None:
    """Put the old ones back."""
    for name, table, columns in REPLACED:
        create_index(name, table, columns)
    drop_index("ix_outbox_waiting", "outbox")
    for name, table, _columns in NEW:
        drop_index(name, table)
