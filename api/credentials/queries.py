"""Credentials in the database: made, listed, ended. A row that has ended never comes back."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import ColumnElement, delete, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller, hash_secret, new_secret
from api.database import CHANNEL, EVERYBODY
from api.paging import PageRequest, read_page
from api.problems import not_found
from api.tables import CredentialRow
from contracts.base import utc_now
from contracts.states import CredentialKind

_PREFIXES = {
    CredentialKind.KEY: "user",
    CredentialKind.TOKEN: "agent",
    CredentialKind.TICKET: "ticket",
    CredentialKind.SESSION: "session",
}
_SHORT_LIVED = tuple(kind.value for kind in CredentialKind if kind is not CredentialKind.KEY)
_KEPT = timedelta(days=7)
"""Ended tokens, links and sessions are listed so long; ended keys are kept for good, as a file may still hold one."""


@dataclass(frozen=True)
class Made:
    """A new credential with its secret, which is stored nowhere."""

    row: CredentialRow
    secret: str


async def make(
    session: AsyncSession,
    kind: CredentialKind,
    user_id: int,
    *,
    ttl: timedelta | None = None,
    made_with: str | None = None,
    **fields: object,
) -> Made:
    """Make a credential, and tidy away those of a short life that ended a week ago. `fields` are further columns.

    None outlives the one it is made with.
    """
    await delete_ended(session)
    now, secret = utc_now(), new_secret(_PREFIXES[kind])
    ends = [now + ttl] if ttl is not None else []
    maker = None if made_with is None else await session.get(CredentialRow, made_with)
    if maker is not None and maker.expires_at is not None:
        ends.append(maker.expires_at)
    row = CredentialRow.model_validate(
        {
            "id": f"{kind.value}-{uuid4().hex[:16]}",
            "kind": kind.value,
            "secret_hash": hash_secret(secret),
            "user_id": user_id,
            "created_at": now,
            "expires_at": min(ends, default=None),
            "made_with": made_with,
            **fields,
        }
    )
    session.add(row)
    await session.flush()
    return Made(row, secret)


async def delete_ended(session: AsyncSession) -> int:
    """Delete those of a short life that ended a week ago; returns how many."""
    old = col(CredentialRow.kind).in_(_SHORT_LIVED) & (col(CredentialRow.expires_at) < utc_now() - _KEPT)
    return len(list(await session.scalars(delete(CredentialRow).where(old).returning(col(CredentialRow.id)))))


async def list_visible(
    session: AsyncSession,
    caller: Caller,
    page: PageRequest,
    *,
    user_id: int | None,
    kind: CredentialKind | None,
    include_ended: bool,
) -> tuple[list[CredentialRow], str | None]:
    """The caller's own credentials, of an admin everybody's; newest first."""
    statement = select(CredentialRow).where(_is_visible(caller))
    if user_id is not None:
        statement = statement.where(col(CredentialRow.user_id) == user_id)
    if kind is not None:
        statement = statement.where(col(CredentialRow.kind) == kind.value)
    if not include_ended:
        statement = statement.where(_lives())
    return await read_page(session, statement, page, (CredentialRow.created_at, CredentialRow.id))


async def end_one(session: AsyncSession, caller: Caller, credential_id: str) -> CredentialRow:
    """End the credential and all that was made with it; one that has ended stays as it is.

    Raises NOT_FOUND for one that the caller may not see.
    """
    statement = select(CredentialRow).where(col(CredentialRow.id) == credential_id, _is_visible(caller))
    row = (await session.scalars(statement)).one_or_none()
    if row is None:
        raise not_found("credential", credential_id)
    await _end(session, or_(col(CredentialRow.id) == credential_id, col(CredentialRow.made_with) == credential_id))
    await session.refresh(row)
    return row


async def end_all_of(
    session: AsyncSession, user_id: int, kinds: Collection[CredentialKind] = tuple(CredentialKind)
) -> None:
    """End what a person may come in with, and what was made with their keys for others."""
    theirs = select(col(CredentialRow.id)).where(col(CredentialRow.user_id) == user_id)
    wanted = [kind.value for kind in kinds]
    made = col(CredentialRow.made_with).in_(theirs)
    await _end(session, or_(col(CredentialRow.user_id) == user_id, made) & col(CredentialRow.kind).in_(wanted))


async def end_made_for_others(session: AsyncSession, user_id: int) -> None:
    """End the tokens that a person made in the name of others, as an administrator may."""
    theirs = select(col(CredentialRow.id)).where(col(CredentialRow.user_id) == user_id)
    await _end(session, (col(CredentialRow.user_id) != user_id) & col(CredentialRow.made_with).in_(theirs))


async def end_tokens_of_project(session: AsyncSession, project_id: str) -> None:
    """End the agents' tokens of a project: they act for its former owner."""
    await _end(session, col(CredentialRow.project_id) == project_id)


async def _end(session: AsyncSession, which: ColumnElement[bool]) -> None:
    ended = update(CredentialRow).where(which, col(CredentialRow.ended_at).is_(None)).values(ended_at=utc_now())
    await session.execute(ended, execution_options={"synchronize_session": False})
    # Open streams look again whether their reader may still read.
    await session.execute(select(func.pg_notify(CHANNEL, EVERYBODY)))


def _is_visible(caller: Caller) -> ColumnElement[bool]:
    own = col(CredentialRow.user_id) == caller.user_id
    return true() if caller.sees_all else own


def _lives() -> ColumnElement[bool]:
    expires = col(CredentialRow.expires_at)
    return col(CredentialRow.ended_at).is_(None) & or_(expires.is_(None), expires > utc_now())
