"""Bring a database to this build's schema, and back."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

_SCRIPTS = Path(__file__).parent / "migrations"
# An arbitrary number that nothing else uses in this database.
_LOCK = 7_114_320_001


async def upgrade(url: str, revision: str = "head") -> None:
    """Apply the missing migrations in one transaction; a second call, even at the same time, changes nothing."""
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
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(lambda plain: step(configuration(plain)))
    finally:
        await engine.dispose()
