"""The engine, and the one transaction that each request has."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

Sessions = async_sessionmaker[AsyncSession]


def make_engine(url: str) -> AsyncEngine:
    """A pool of connections to `url`; a connection that the server has dropped is replaced before its use."""
    # hide_parameters: the values of a statement that failed are nobody's business in a log.
    return create_async_engine(
        url, pool_pre_ping=True, pool_size=10, max_overflow=20, pool_timeout=10, hide_parameters=True
    )


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
