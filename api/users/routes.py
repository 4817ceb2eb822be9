"""Users and their keys."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path

from api.audit.trail import Act, audited
from api.auth import Admin, AdminInChatToo, AnyCaller, Person
from api.credentials import queries as credentials
from api.database import Session
from api.dependencies import SettingsDep
from api.paging import PageDep
from api.problems import permanent
from api.users import queries, replies
from contracts.access import KeyRequest, UserUpdate
from contracts.chat import LanguageChoice
from contracts.errors import ErrorCode
from contracts.nouns import UserCreate, UserCreated, UserDTO, UserList, WhoAmI
from contracts.states import CredentialKind, Role
from runtime import process_mode

router = APIRouter(tags=["users"])

AnyUserId = Annotated[int, Path(ge=1, le=2**52)]


@router.post("/users", status_code=201)
async def create_user(
    act: Annotated[Act, audited("user.create")],
    body: UserCreate,
    session: Session,
    caller: AdminInChatToo,
    settings: SettingsDep,
) -> UserCreated:
    """The key is shown this once. A person whom an admin adds in a chat needs none, and gets none.

    Where work runs as processes, which people share, there is only the operator.
    """
    act.on(str(body.user_id))
    act.tell(role=body.role.value)
    process_mode.refuse_others(settings, body.user_id)
    if not caller.through_bot:
        return await _with_key(session, body.user_id, KeyRequest(ttl_s=body.key_ttl_s), create=body)
    if body.role is Role.ADMIN:
        raise permanent(ErrorCode.NOT_ALLOWED, "Through the bot only members can be added. Use a key of your own.")
    return UserCreated(user=replies.user(await queries.create(session, body)), api_key="")


@router.post("/users/{user_id}/keys", status_code=201)
async def replace_key(
    act: Annotated[Act, audited("key.create")],
    user_id: AnyUserId,
    session: Session,
    caller: Admin,
    body: KeyRequest | None = None,
) -> UserCreated:
    """A new key; the ones before stop working, with the sessions, links and tokens that belong to them."""
    await queries.get(session, user_id)
    body = body or KeyRequest()
    act.tell(keep_others=body.keep_others, ttl_s=body.ttl_s)
    if not body.keep_others:
        await credentials.end_all_of(session, user_id)
    return await _with_key(session, user_id, body)


@router.get("/users")
async def list_users(session: Session, caller: AdminInChatToo, page: PageDep) -> UserList:
    rows, following = await queries.list_all(session, page)
    return UserList(items=[replies.user(row) for row in rows], next_cursor=following)


@router.patch("/users/{user_id}")
async def update_user(
    act: Annotated[Act, audited("user.update")],
    user_id: AnyUserId,
    body: UserUpdate,
    session: Session,
    caller: Admin,
) -> UserDTO:
    """Change a role, block or unblock: at once, also for requests that are open. One administrator always stays."""
    act.tell(role=body.role, state=body.state)
    return replies.user(await queries.update(session, user_id, body))


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


async def _with_key(
    session: Session, user_id: int, request: KeyRequest, create: UserCreate | None = None
) -> UserCreated:
    """The person, made if asked for, with one more key."""
    row = await queries.get(session, user_id) if create is None else await queries.create(session, create)
    ttl = None if request.ttl_s is None else timedelta(seconds=request.ttl_s)
    made = await credentials.make(session, CredentialKind.KEY, user_id, ttl=ttl, name=request.name)
    return UserCreated(user=replies.user(row), api_key=made.secret, expires_at=made.row.expires_at)
