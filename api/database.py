"""The engine, and the one transaction that each request has."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import asyncpg
from fastapi import Depends, Request
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError

# SQLSTATE classes of a server that goes away: "connection exception" and "operator intervention".
_AWAY = ("08", "57")

Sessions = async_sessionmaker[AsyncSession]


def make_engine(url: str) -> AsyncEngine:
    """A pool of connections to `url`; a connection that the server has dropped is replaced before its use.

    A server that does not take a connection raises OrchestratorError DATABASE_UNREACHABLE, transient: whoever asks
    the API waits for it as for the API itself.
    """
    # hide_parameters: the values of a statement that failed are nobody's business in a log.
    engine = create_async_engine(
        url, pool_pre_ping=True, pool_size=20, max_overflow=10, pool_timeout=10, hide_parameters=True
    )
    event.listen(engine.sync_engine, "do_connect", _connect)
    return engine


def database_away() -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.DATABASE_UNREACHABLE,
        "The API's database does not answer. Try again; `orchestrator doctor` says what is missing.",
        error_class=ErrorClass.TRANSIENT,
    )


def is_away(error: Exception) -> bool:
    """Whether a statement failed because the server is not there, and not because of the statement."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError):
        return True
    sqlstate = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    return isinstance(error, DBAPIError) and (error.connection_invalidated or sqlstate.startswith(_AWAY))


def _connect(dialect: Dialect, _: object, arguments: list[Any], named: dict[str, Any]) -> DBAPIConnection:
    """SQLAlchemy passes on what the driver raises here as it is, so nothing else would recognise it."""
    try:
        return dialect.connect(*arguments, **named)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, dialect.loaded_dbapi.Error) as error:
        raise database_away() from error


def make_sessions(engine: AsyncEngine) -> Sessions:
    """Sessions whose rows can still be read after the commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


async def _transaction(request: Request) -> AsyncIterator[AsyncSession]:
    sessions: Sessions = request.app.state.platform.sessions
    async with sessions() as session:
        yield session
        await session.commit()


# Scope "function": the commit comes before the reply, so that a reply never promises what is not stored.
Session = Annotated[AsyncSession, Depends(_transaction, scope="function")]
