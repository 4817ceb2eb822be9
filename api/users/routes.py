"""Users and their keys."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.auth import Admin, AnyCaller, Person
from api.database import Session
from api.dependencies import SettingsDep
from api.users import queries, replies
from contracts.chat import LanguageChoice
from contracts.nouns import UserCreate, UserCreated, UserList, WhoAmI
from runtime import process_mode

router = APIRouter(tags=["users"])


@router.post("/users", status_code=201)
async def create_user(body: UserCreate, session: Session, caller: Admin, settings: SettingsDep) -> UserCreated:
    """The key is shown this once. Where work runs as processes, which people share, only the operator has one."""
    process_mode.refuse_others(settings, body.user_id)
    row = await queries.create(session, body)
    return UserCreated(user=replies.user(row), api_key=queries.add_key(session, row.user_id))


@router.post("/users/{user_id}/keys", status_code=201)
async def replace_key(user_id: Annotated[int, Path(ge=1, le=2**52)], session: Session, caller: Admin) -> UserCreated:
    """A new key; the ones before stop working."""
    row = await queries.get(session, user_id)
    await queries.delete_keys(session, user_id)
    return UserCreated(user=replies.user(row), api_key=queries.add_key(session, user_id))


@router.get("/users")
async def list_users(session: Session, caller: Admin) -> UserList:
    return UserList(items=[replies.user(row) for row in await queries.list_all(session)])


@router.get("/whoami")
async def whoami(caller: AnyCaller, session: Session) -> WhoAmI:
    """The caller as the platform sees it; for every key and token."""
    return replies.whoami(caller, await queries.find(session, caller.user_id))


@router.put("/whoami/language")
async def choose_language(body: LanguageChoice, caller: Person, session: Session) -> WhoAmI:
    """Choose the language in which chats speak to the caller."""
    row = await queries.get(session, caller.user_id)
    row.language = body.language
    return replies.whoami(caller, row)
