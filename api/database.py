"""The engine, and the transaction of each request."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import asyncpg
from fastapi import Depends, Request
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from api.dependencies import part
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError

# SQLSTATE 53100 is "disk full"; its class is "insufficient resources", such as memory and connections.
_DISK_FULL = "53100"
# SQLSTATE classes of a server that stops or is gone: "connection exception" and "operator intervention".
_UNREACHABLE = ("08", "57", "53")

Sessions = async_sessionmaker[AsyncSession]

CHANNEL = "task_events"
"""Where PostgreSQL tells the readers of a task's stream, by its id, that there is something new."""
EVERYBODY = "*"
"""Instead of an id: all readers, because somebody's access has ended."""


def make_engine(url: str) -> AsyncEngine:
    """A pool of connections to `url`; a connection that the server has dropped is replaced before its use.

    A server that refuses a connection raises OrchestratorError DATABASE_UNREACHABLE, which is transient: clients wait
    and retry, as they do when the API itself is down.
    """
    # hide_parameters: a log must not show the values of a statement that failed.
    engine = create_async_engine(
        url, pool_pre_ping=True, pool_size=20, max_overflow=10, pool_timeout=10, hide_parameters=True
    )
    event.listen(engine.sync_engine, "do_connect", _connect)
    return engine


def database_unreachable() -> OrchestratorError:
    """The error for a database that does not answer."""
    return OrchestratorError(
        ErrorCode.DATABASE_UNREACHABLE,
        "The API's database does not answer. Try again; `orchestrator doctor` shows what is missing.",
        error_class=ErrorClass.TRANSIENT,
    )


def disk_full() -> OrchestratorError:
    """The error for a database that has no room to write."""
    return OrchestratorError(
        ErrorCode.DATABASE_DISK_FULL,
        "The disk of the API's database is full. Free some space; work that waits for it then continues by itself. "
        "`orchestrator doctor` shows the disks and what uses them.",
        error_class=ErrorClass.TRANSIENT,
    )


def is_disk_full(error: Exception) -> bool:
    """Whether a statement failed because the server had no room to write."""
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or "") == _DISK_FULL


def is_unreachable(error: Exception) -> bool:
    """Whether a statement failed because the server does not answer, and not because of the statement."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError):
        return True
    sqlstate = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    return isinstance(error, DBAPIError) and (error.connection_invalidated or sqlstate.startswith(_UNREACHABLE))


def _connect(dialect: Dialect, _: object, arguments: list[Any], named: dict[str, Any]) -> DBAPIConnection:
    """Translate the driver's errors here: SQLAlchemy passes on what is raised while connecting as it is."""
    try:
        return dialect.connect(*arguments, **named)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, dialect.loaded_dbapi.Error) as error:
        raise database_unreachable() from error


def make_sessions(engine: AsyncEngine) -> Sessions:
    """Sessions whose rows can still be read after the commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


async def _transaction(request: Request) -> AsyncIterator[AsyncSession]:
    sessions: Sessions = request.app.state.platform.sessions
    async with sessions() as session:
        yield session
        await session.commit()


EngineDep = Annotated[AsyncEngine, Depends(part("engine"))]
SessionsDep = Annotated[Sessions, Depends(part("sessions"))]
# Scope "function": the commit comes before the reply, so that a reply never promises what is not stored.
Session = Annotated[AsyncSession, Depends(_transaction, scope="function")]
