"""Alembic's entry: runs the migrations over the connection that `store.engine` passes in."""

from alembic import context

from store.metadata import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
