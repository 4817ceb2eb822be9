"""Run by Alembic, always with a connection that `api.migrate` has opened."""

from alembic import context

# Their tables are in METADATA once they are imported.
from api import model_tables, server_tables, worker_tables  # noqa: F401
from api.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
