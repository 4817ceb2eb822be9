"""The engine, and the one transaction that each request has."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import asyncpg
from fastapi import Depends, Request
from sqlalchemy import event
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from api.problems import database_unreachable

Sessions = async_sessionmaker[AsyncSession]


def make_engine(url: str) -> AsyncEngine:
    """A pool of connections to `url`; a connection that the server has dropped is replaced before its use."""
    # hide_parameters: the values of a statement that failed are nobody's business in a log.
    engine = create_async_engine(
        url, pool_pre_ping=True, pool_size=10, max_overflow=20, pool_timeout=10, hide_parameters=True
    )
    event.listen(engine.sync_engine, "do_connect", _connect)
    return engine


def _connect(
    dialect: Dialect,
    _record: object,
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:  # noqa: ANN401 - the driver's connection
    """As SQLAlchemy would; a server that is away is one error, although the driver has a dozen for it."""
    try:
        return dialect.connect(*arguments, **options)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise database_unreachable() from error


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
