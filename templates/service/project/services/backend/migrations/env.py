"""What Alembic runs for each of its commands; `services.backend.migrate` hands over its own connection."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection
from sqlmodel import AutoString, SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from services.backend import database, models
from services.backend.settings import Settings


def run(connection: Connection) -> None:
    models.load()
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_item=rendered,
        # SQLite changes a column by copying its table.
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def rendered(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """A migration names types of SQLAlchemy: it must run when SQLModel has changed its own."""
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String({item.length or ''})"
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with database.engine(Settings.from_env().data_dir).begin() as own:
        run(own)
