"""The metadata with every table of the store: each module that defines tables is named here."""

from store import (
    api_tables,
    console_tables,
    epoch_tables,
    list_tables,
    mapping_tables,
    sign_in_tables,
    sync_tables,
    tables,
    wait_tables,
    watch_tables,
    webhook_tables,
)

METADATA = tables.Base.metadata
MODULES = (
    tables,
    list_tables,
    sync_tables,
    wait_tables,
    api_tables,
    webhook_tables,
    sign_in_tables,
    console_tables,
    mapping_tables,
    watch_tables,
    epoch_tables,
)
