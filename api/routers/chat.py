"""What a bot keeps about its chats. Every write may be repeated."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import bindparam, delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api import replies
from api.auth import bot_only
from api.database import Session
from api.problems import not_found, permanent
from api.tables import ChatScreenRow, ChatUpdateRow, UserRow
from contracts.base import Identifier, UserId, utc_now
from contracts.chat import (
    WISH,
    ChatScreenDTO,
    ChatScreenList,
    ChatScreenOpen,
    ChatScreenUpdate,
    ChatUpdateDTO,
    ChatUpdateMark,
    ChatVisit,
)
from contracts.errors import ErrorCode

router = APIRouter(prefix="/chat", tags=["chat"], dependencies=[Depends(bot_only)])

ScreenId = Annotated[Identifier, Path()]
BigInt = Annotated[int, Query(ge=-(2**62), le=2**62)]

_SHOWN_LATELY = (
    select(ChatScreenRow)
    .where(
        col(ChatScreenRow.bot_id) == bindparam("bot"),
        or_(col(ChatScreenRow.chat_id) == bindparam("chat"), col(ChatScreenRow.user_id) == bindparam("owner")),
    )
    .order_by(col(ChatScreenRow.final), col(ChatScreenRow.created_at).desc())
    .limit(60)
)
_NOBODY = 0

_MARKS_ARE_KEPT = timedelta(days=7)
"""Telegram offers an update for a day."""


@router.put("/screens/{screen_id}")
async def open_screen(screen_id: ScreenId, body: ChatScreenOpen, session: Session) -> ChatScreenDTO:
    """The screen of a wish; one that exists is answered as it is. Whatever asked for it is marked as a wish."""
    if await session.get(UserRow, body.user_id) is None:
        raise not_found("user", str(body.user_id))
    if (await _mark(session, screen_id, WISH)).subject != WISH:
        raise permanent(ErrorCode.CONFLICT, "This update was taken for something else than a wish.")
    now = utc_now()
    values = {**body.model_dump(), "id": screen_id, "final": False, "created_at": now, "updated_at": now}
    await session.execute(insert(ChatScreenRow).values(**values).on_conflict_do_nothing())
    return replies.chat_screen(await _find(session, screen_id))


@router.get("/screens")
async def list_screens(
    session: Session,
    bot_id: BigInt,
    chat_id: BigInt | None = None,
    message_id: BigInt | None = None,
    user_id: BigInt | None = None,
    final: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> ChatScreenList:
    """Newest first."""
    statement = select(ChatScreenRow).where(col(ChatScreenRow.bot_id) == bot_id)
    wanted = {"chat_id": chat_id, "message_id": message_id, "user_id": user_id, "final": final}
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(getattr(ChatScreenRow, name) == value)
    rows = await session.scalars(statement.order_by(col(ChatScreenRow.created_at).desc()).limit(limit))
    return ChatScreenList(items=[replies.chat_screen(row) for row in rows])


@router.get("/screens/{screen_id}")
async def show_screen(screen_id: ScreenId, session: Session) -> ChatScreenDTO:
    return replies.chat_screen(await _find(session, screen_id))


@router.patch("/screens/{screen_id}")
async def update_screen(screen_id: ScreenId, body: ChatScreenUpdate, session: Session) -> ChatScreenDTO:
    """Add what is known now. What is final stays so."""
    row = await _find(session, screen_id, lock=True)
    row.chat_id = body.chat_id or row.chat_id
    row.message_id = None if body.forget_message else body.message_id or row.message_id
    row.project_id = row.project_id or body.project_id
    row.task_id = row.task_id or body.task_id
    row.final = row.final or body.final
    row.updated_at = utc_now()
    await session.flush()
    if row.final:
        await _forget_old_marks(session)
    return replies.chat_screen(row)


@router.get("/visits/{user_id}")
async def visit(user_id: Annotated[UserId, Path()], bot_id: BigInt, chat_id: BigInt, session: Session) -> ChatVisit:
    """Who speaks there, and what this bot has shown there lately: all that a bot needs to understand a message."""
    user = await session.get(UserRow, user_id)
    if user is None:
        return ChatVisit(user_id=user_id)
    known = replies.user(user)
    # Elsewhere a person may have been told to answer in the private chat.
    owner = user_id if chat_id == user_id else _NOBODY
    rows = await session.scalars(_SHOWN_LATELY, {"bot": bot_id, "chat": chat_id, "owner": owner})
    screens = [replies.chat_screen(row) for row in rows]
    return ChatVisit(user_id=user_id, role=known.role, language=known.language, screens=screens)


@router.put("/updates/{update_id}")
async def mark_update(
    update_id: Annotated[Identifier, Path()], body: ChatUpdateMark, session: Session
) -> ChatUpdateDTO:
    """Say what an update is taken for. The first one to say so counts."""
    return await _mark(session, update_id, body.subject)


async def _mark(session: AsyncSession, update_id: str, subject: str) -> ChatUpdateDTO:
    values = {"id": update_id, "subject": subject, "created_at": utc_now()}
    statement = insert(ChatUpdateRow).values(**values).on_conflict_do_nothing().returning(col(ChatUpdateRow.id))
    if (await session.execute(statement)).first() is not None:
        return ChatUpdateDTO(id=update_id, subject=subject)
    row = await session.get(ChatUpdateRow, update_id)
    if row is None:
        raise not_found("update", update_id)
    return ChatUpdateDTO(id=row.id, subject=row.subject, known=True)


async def _forget_old_marks(session: AsyncSession) -> None:
    old = utc_now() - _MARKS_ARE_KEPT
    await session.execute(delete(ChatUpdateRow).where(col(ChatUpdateRow.created_at) < old))


async def _find(session: Session, screen_id: str, *, lock: bool = False) -> ChatScreenRow:
    row = await session.get(ChatScreenRow, screen_id, with_for_update=lock or None, populate_existing=True)
    if row is None:
        raise not_found("screen", screen_id)
    return row
