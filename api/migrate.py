"""Bring a database to this build's schema, and back."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from contracts.errors import ErrorCode, OrchestratorError

_SCRIPTS = Path(__file__).parent / "migrations"
# An arbitrary number that nothing else uses in this database.
_LOCK = 7_114_320_001


async def upgrade(url: str, revision: str = "head") -> None:
    """Apply the missing migrations in one transaction; a second call, even at the same time, changes nothing.

    Raises OrchestratorError SETTINGS_INVALID for a database that cannot hold every character.
    """
    await _run(url, lambda config: command.upgrade(config, revision))


async def downgrade(url: str, revision: str) -> None:
    """Undo migrations down to `revision` (`base`: all of them, with their data)."""
    await _run(url, lambda config: command.downgrade(config, revision))


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for an open connection."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


async def _run(url: str, step: Callable[[Config], None]) -> None:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            await _refuse_other_encodings(connection)
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(lambda plain: step(configuration(plain)))
    finally:
        await engine.dispose()


async def _refuse_other_encodings(connection: AsyncConnection) -> None:
    """With another encoding than UTF-8 the first event in another language would be refused, long after the start."""
    encoding = await connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        name = await connection.scalar(text("SELECT current_database()"))
        raise OrchestratorError(
            ErrorCode.SETTINGS_INVALID,
            f"The database {name} has the encoding {encoding}; the platform needs UTF8. Create one that has it, and "
            f"name it in DATABASE_URL: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
        )
