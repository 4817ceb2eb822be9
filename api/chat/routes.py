"""What a bot keeps about its chats. Every write may be repeated."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.auth import bot_only
from api.chat import queries, replies
from api.database import Session
from api.paging import PageDep
from api.problems import permanent
from api.users import queries as users
from contracts.base import Identifier
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


@router.put("/screens/{screen_id}")
async def open_screen(screen_id: ScreenId, body: ChatScreenOpen, session: Session) -> ChatScreenDTO:
    """The screen of a wish; one that exists is answered as it is. Whatever asked for it is marked as a wish."""
    await users.get(session, body.user_id)
    if (await queries.mark_update(session, screen_id, WISH)).subject != WISH:
        raise permanent(ErrorCode.CONFLICT, "This update has already been used for something other than a description.")
    return replies.screen(await queries.create_screen(session, screen_id, body))


@router.get("/screens")
async def list_screens(
    session: Session,
    bot_id: BigInt,
    page: PageDep,
    chat_id: BigInt | None = None,
    message_id: BigInt | None = None,
    user_id: BigInt | None = None,
    final: bool | None = None,
) -> ChatScreenList:
    """List a bot's screens, newest first."""
    wanted = {"chat_id": chat_id, "message_id": message_id, "user_id": user_id, "final": final}
    rows, following = await queries.list_screens(session, bot_id, page, **wanted)
    return ChatScreenList(items=[replies.screen(row) for row in rows], next_cursor=following)


@router.get("/screens/{screen_id}")
async def show_screen(screen_id: ScreenId, session: Session) -> ChatScreenDTO:
    return replies.screen(await queries.get_screen(session, screen_id))


@router.patch("/screens/{screen_id}")
async def update_screen(screen_id: ScreenId, body: ChatScreenUpdate, session: Session) -> ChatScreenDTO:
    """Add to the screen what is known now. A final screen stays final."""
    return replies.screen(await queries.update_screen(session, screen_id, body))


@router.get("/visits/{user_id}")
async def visit(
    user_id: Annotated[int, Path(ge=1, le=2**52)], bot_id: BigInt, chat_id: BigInt, session: Session
) -> ChatVisit:
    """Who is writing, and what this bot has shown there lately: all that a bot needs to understand a message."""
    user = await users.find_active(session, user_id)
    if user is None:
        return ChatVisit(user_id=user_id)
    return replies.visit(user, await queries.recent_screens(session, bot_id, chat_id, user_id))


@router.put("/updates/{update_id}")
async def mark_update(
    update_id: Annotated[Identifier, Path()], body: ChatUpdateMark, session: Session
) -> ChatUpdateDTO:
    """Record what an update is taken for. The first mark of an update counts."""
    return await queries.mark_update(session, update_id, body.subject)
