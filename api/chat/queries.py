"""A bot's screens and marks in the database. Every write may be repeated."""

from datetime import timedelta

from sqlalchemy import bindparam, delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.paging import PageRequest, read_page
from api.problems import not_found
from api.tables import ChatScreenRow, ChatUpdateRow
from contracts.base import utc_now
from contracts.chat import ChatScreenOpen, ChatScreenUpdate, ChatUpdateDTO

# Built once: building it takes longer than running it.
_RECENT_SCREENS = (
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


async def create_screen(session: AsyncSession, screen_id: str, body: ChatScreenOpen) -> ChatScreenRow:
    """The screen with this id; one that exists stays as it is."""
    now = utc_now()
    values = {**body.model_dump(), "id": screen_id, "final": False, "created_at": now, "updated_at": now}
    await session.execute(insert(ChatScreenRow).values(**values).on_conflict_do_nothing())
    return await get_screen(session, screen_id)


async def get_screen(session: AsyncSession, screen_id: str, *, lock: bool = False) -> ChatScreenRow:
    """The screen; NOT_FOUND when there is none. `lock` holds its row until the commit."""
    row = await session.get(ChatScreenRow, screen_id, with_for_update=lock or None, populate_existing=True)
    if row is None:
        raise not_found("screen", screen_id)
    return row


async def list_screens(
    session: AsyncSession, bot_id: int, page: PageRequest, **wanted: object
) -> tuple[list[ChatScreenRow], str | None]:
    """A bot's screens, newest first. `wanted` gives columns and their values; None means any."""
    statement = select(ChatScreenRow).where(col(ChatScreenRow.bot_id) == bot_id)
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(getattr(ChatScreenRow, name) == value)
    return await read_page(session, statement, page, (ChatScreenRow.created_at, ChatScreenRow.id))


async def recent_screens(session: AsyncSession, bot_id: int, chat_id: int, user_id: int) -> list[ChatScreenRow]:
    """What a bot has shown lately in a chat, the open screens first."""
    # In a private chat also the person's screens elsewhere: one of those may have told them to answer here.
    owner = user_id if chat_id == user_id else _NOBODY
    return list(await session.scalars(_RECENT_SCREENS, {"bot": bot_id, "chat": chat_id, "owner": owner}))


async def update_screen(session: AsyncSession, screen_id: str, body: ChatScreenUpdate) -> ChatScreenRow:
    """Add what is known now. A screen that is final stays final."""
    row = await get_screen(session, screen_id, lock=True)
    row.chat_id = body.chat_id or row.chat_id
    row.message_id = None if body.forget_message else body.message_id or row.message_id
    row.project_id = row.project_id or body.project_id
    row.task_id = row.task_id or body.task_id
    row.final = row.final or body.final
    row.updated_at = utc_now()
    await session.flush()
    if row.final:
        await delete_old_marks(session)
    return row


async def mark_update(session: AsyncSession, update_id: str, subject: str) -> ChatUpdateDTO:
    """Record what an update is taken for. The first mark of an update counts."""
    values = {"id": update_id, "subject": subject, "created_at": utc_now()}
    statement = insert(ChatUpdateRow).values(**values).on_conflict_do_nothing().returning(col(ChatUpdateRow.id))
    if (await session.execute(statement)).first() is not None:
        return ChatUpdateDTO(id=update_id, subject=subject)
    row = await session.get(ChatUpdateRow, update_id)
    if row is None:
        raise not_found("update", update_id)
    return ChatUpdateDTO(id=row.id, subject=row.subject, known=True)


async def delete_old_marks(session: AsyncSession) -> int:
    """Delete the marks of updates that are not offered again; returns how many."""
    old = utc_now() - _MARKS_ARE_KEPT
    statement = delete(ChatUpdateRow).where(col(ChatUpdateRow.created_at) < old)
    return len(list(await session.scalars(statement.returning(col(ChatUpdateRow.id)))))
