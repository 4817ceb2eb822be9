"""Run by Alembic, always with a connection that `api.migrate` has opened."""

from alembic import context

from api import model_tables  # noqa: F401 - its tables are in METADATA once it is imported
from api.tables import METADATA
from api.workers import tables as workers

connection = context.config.attributes["connection"]
# Its tables are among the metadata once it is imported.
assert workers
context.configure(connection=connection, target_metadata=METADATA, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
