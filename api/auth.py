"""Who calls, and what each route allows them to do.

A route declares its access by one of `person`, `agents_may`, `admin_only`, `platform_only` or `bot_only`; a test
walks the routes.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends, Header, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from api.database import Session
from api.dependencies import part
from api.edge.addresses import client_address
from api.problems import permanent
from api.tables import AuditRow, CredentialRow, UserRow
from contracts.base import Actor, utc_now
from contracts.errors import ErrorCode
from contracts.states import ActorVia, CredentialKind, Role, UserState

_SECRET_BYTES = 32

AGENT_COMMANDS = frozenset(
    {
        "artifact.show",
        "deploy.start",
        "deploy.status",
        "engineering.start",
        "engineering.status",
        "project.list",
        "project.show",
        "question.list",
        "question.show",
        "release.list",
        "secret.list",
        "task.cancel",
        "task.list",
        "task.logs",
        "task.show",
        "task.watch",
    }
)
"""Every command that a scoped token can be allowed. A test checks that each one belongs to a route."""

# Built once: building it takes longer than running it.
_MAKER = aliased(CredentialRow)
_USER_OF_SECRET = (
    select(CredentialRow, UserRow)
    .join(UserRow, col(UserRow.user_id) == col(CredentialRow.user_id))
    .outerjoin(_MAKER, col(_MAKER.id) == col(CredentialRow.made_with))
    .where(
        col(CredentialRow.secret_hash) == bindparam("digest"),
        # Of the key that it was made with, too: one that ends at this moment leaves nothing behind that is being made.
        *(col(each.ended_at).is_(None) for each in (CredentialRow, _MAKER)),
        *(
            or_(col(each.expires_at).is_(None), col(each.expires_at) > bindparam("now"))
            for each in (CredentialRow, _MAKER)
        ),
    )
)
_BEARERS = {CredentialKind.KEY, CredentialKind.TOKEN}
"""What opens the API. A link and a session open only the Web UI."""
BOT_KEY, PLATFORM_KEY = "bot.key", "api-service.key"
"""How the trail names the keys of our own processes, which are files and no rows."""

Key = Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))]
OnBehalf = Annotated[int | None, Header(alias="X-Orchestrator-User", ge=1, le=2**52)]
Via = Annotated[Literal["api", "cli", "telegram"], Header(alias="X-Orchestrator-Via")]


@dataclass(frozen=True)
class ServiceKeys:
    """Hashes of the keys of the platform's own processes; None where there is no key file, so no key matches.

    What these processes do is recorded as done by `user_id`.
    """

    platform: str | None
    bot: str | None
    user_id: int


ServiceKeysDep = Annotated[ServiceKeys, Depends(part("service_keys"))]


@dataclass(frozen=True)
class Caller:
    """Who calls. `project_id` and `commands` are set for a scoped token.

    `platform` and `bot` are set for the platform's own processes, which are not people; `through_bot` for a person for
    whom the bot speaks. `credential` is the id of what they came in with.
    """

    user_id: int
    role: Role
    via: ActorVia
    project_id: str | None = None
    commands: frozenset[str] | None = None
    expires_at: datetime | None = None
    platform: bool = False
    bot: bool = False
    through_bot: bool = False
    credential: str | None = None

    @property
    def left_s(self) -> float | None:
        """How many seconds this caller's access still lasts, at least 0; None without a limit."""
        return None if self.expires_at is None else max(0.0, (self.expires_at - utc_now()).total_seconds())

    @property
    def is_person(self) -> bool:
        """Whether this is a person with a key of their own."""
        return not (self.platform or self.bot or self.through_bot) and self.commands is None

    @property
    def sees_all(self) -> bool:
        """Whether other owners' things are visible."""
        is_admin = self.role is Role.ADMIN and self.commands is None and not self.through_bot
        return self.platform or is_admin

    def may(self, command: str) -> bool:
        """Whether a scoped token lists the command; people may all of them."""
        return self.commands is None or command in self.commands

    @property
    def actor(self) -> Actor:
        """This caller as workflows know people."""
        return Actor(user_id=self.user_id, role=self.role, via=self.via)


def new_secret(prefix: str) -> str:
    """A key or token: 256 random bits after a prefix that says what it is."""
    return f"{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def hash_secret(secret: str) -> str:
    """The hash of a key or token, which is all that is stored of it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def find_credential(
    session: AsyncSession, digest: str, kinds: Collection[CredentialKind], *, lock: bool = False
) -> tuple[CredentialRow, UserRow] | None:
    """What this secret opens, and whose it is; None when there is none of these kinds, or it has ended or expired.

    `lock` holds the credential's row until the commit: of two who use it at once, the second finds it ended.
    """
    statement = _USER_OF_SECRET.with_for_update(of=CredentialRow) if lock else _USER_OF_SECRET
    found = (await session.execute(statement, {"digest": digest, "now": utc_now()})).one_or_none()
    return None if found is None or found[0].kind not in kinds else (found[0], found[1])


async def knows_key(session: AsyncSession, digest: str) -> bool:
    """Whether a caller with this key or token would get in."""
    found = await find_credential(session, digest, _BEARERS)
    return found is not None and found[1].state == UserState.ACTIVE


async def _caller(
    request: Request,
    key: Key,
    service_keys: ServiceKeysDep,
    session: Session,
    via: Via = "api",
    on_behalf: OnBehalf = None,
) -> Caller:
    if key is None:
        raise permanent(ErrorCode.NOT_AUTHENTICATED, "Send your key as `Authorization: Bearer <key>`.")
    digest = hash_secret(key.credentials.strip())
    if _is(service_keys.bot, digest):
        return await _through_bot(session, service_keys, on_behalf)
    caller = _as_platform(service_keys, digest) or await _with_secret(session, digest, ActorVia(via))
    if caller is None:
        raise permanent(
            ErrorCode.NOT_AUTHENTICATED,
            "This key is unknown, was ended, or has expired. An admin can make another one (`orchestrator user key`).",
        )
    platform = request.app.state.platform
    platform.admission.recognise(digest)
    address = client_address(request.scope, platform.settings)
    if caller.is_person and platform.admission.rates.signs_in(digest, address):
        await _tell_sign_in(request, caller, address)
    return caller


async def _tell_sign_in(request: Request, caller: Caller, address: str) -> None:
    """Into the audit trail, in a transaction of its own: also when the request is refused."""
    row = AuditRow(
        user_id=caller.user_id,
        role=caller.role.value,
        via=caller.via.value,
        credential=caller.credential,
        address=address,
        action="sign_in.key",
        result="done",
        request_id=str(request.scope.get("request_id", "")),
    )
    async with request.app.state.platform.sessions.begin() as session:
        session.add(row)


AnyCaller = Annotated[Caller, Depends(_caller)]


def _as_platform(service_keys: ServiceKeys, digest: str) -> Caller | None:
    if not _is(service_keys.platform, digest):
        return None
    return Caller(service_keys.user_id, Role.ADMIN, ActorVia.SCHEDULE, platform=True, credential=PLATFORM_KEY)


def _is(known: str | None, digest: str) -> bool:
    # Hashes of equal length, compared in constant time.
    return known is not None and hmac.compare_digest(known, digest)


async def _through_bot(session: AsyncSession, service_keys: ServiceKeys, user_id: int | None) -> Caller:
    """The person whom the bot names, with that person's rights; without a name, the bot itself.

    Whoever has taken the bot's key can name anybody. So it opens only what a person does in a chat, and nothing that
    makes it last: no key, no link, no administrator, and of an administrator's projects only their own.
    """
    if user_id is None:
        return Caller(service_keys.user_id, Role.AGENT, ActorVia.TELEGRAM, bot=True, credential=BOT_KEY)
    user = await session.get(UserRow, user_id)
    if user is None or user.state == UserState.REMOVED:
        raise permanent(ErrorCode.NOT_ALLOWED, "The platform does not know this person; an admin can add them.")
    refuse_blocked(user)
    return Caller(user.user_id, Role(user.role), ActorVia.TELEGRAM, through_bot=True, credential=BOT_KEY)


def refuse_blocked(user: UserRow) -> None:
    """Raises NOT_ALLOWED for a person who is blocked."""
    if user.state == UserState.BLOCKED:
        raise permanent(ErrorCode.NOT_ALLOWED, "An admin has blocked your access to this platform. Ask them.")


async def _with_secret(session: AsyncSession, digest: str, via: ActorVia) -> Caller | None:
    found = await find_credential(session, digest, _BEARERS)
    if found is None:
        return None
    credential, user = found
    refuse_blocked(user)
    if credential.kind == CredentialKind.KEY:
        return Caller(user.user_id, Role(user.role), via, expires_at=credential.expires_at, credential=credential.id)
    commands = frozenset(credential.commands or ())
    return Caller(
        user.user_id,
        Role.AGENT,
        ActorVia.AGENT,
        credential.project_id,
        commands,
        credential.expires_at,
        credential=credential.id,
    )


async def still_valid(session: AsyncSession, caller: Caller) -> bool:
    """Whether this caller would still get in: for a stream, which outlives the request that opened it."""
    if caller.platform or caller.bot:
        return True
    user = await session.get(UserRow, caller.user_id, populate_existing=True)
    if user is None or user.state != UserState.ACTIVE:
        return False
    if caller.commands is None and user.role != caller.role:
        # What a former administrator reads may be somebody else's.
        return False
    if caller.through_bot or caller.credential is None:
        return True
    credential = await session.get(CredentialRow, caller.credential, populate_existing=True)
    return credential is not None and credential.ended_at is None


@dataclass(frozen=True)
class Access:
    """A route's rule. As a dependency it returns the caller, or refuses. `in_chat`: also through the bot."""

    kind: Literal["person", "admin", "platform", "bot"]
    commands: frozenset[str] = frozenset()
    in_chat: bool = False

    # Not a plain function: FastAPI would call that in a thread.
    async def __call__(self, caller: AnyCaller, request: Request) -> Caller:
        if not self._allows(caller, request.method):
            raise permanent(ErrorCode.NOT_ALLOWED, self._refusal(caller))
        return caller

    def _allows(self, caller: Caller, method: str) -> bool:
        if caller.platform:
            # The platform may read everything, and changes things only through its own routes: it is not a person.
            return self.kind == "platform" or method == "GET"
        if caller.bot:
            return self.kind == "bot"
        if caller.commands is not None:
            return bool(self.commands & caller.commands)
        if caller.through_bot and not self.in_chat:
            return False
        return self.kind == "person" or (self.kind == "admin" and caller.role is Role.ADMIN)

    def _refusal(self, caller: Caller) -> str:
        if caller.commands is not None:
            wanted = " or ".join(f"`{command}`" for command in sorted(self.commands))
            return f"This token may not do that{f'; it needs {wanted}' if wanted else ''}."
        would_do = self.kind == "person" or (self.kind == "admin" and caller.role is Role.ADMIN)
        if caller.through_bot and would_do:
            return "This needs a key of your own; the bot may not do it for you."
        return {
            "person": "Only a person may do that.",
            "admin": "Only an admin may do that.",
            "platform": "Only the platform's own processes may do that.",
            "bot": "Only the platform's bot may do that.",
        }[self.kind]


def agents_may(*commands: str) -> Access:
    """People, and agents whose token lists one of `commands`."""
    unknown = set(commands) - AGENT_COMMANDS
    assert not unknown, f"unknown commands: {unknown}"
    return Access("person", frozenset(commands), in_chat=True)


person = Access("person", in_chat=True)
person_with_key = Access("person")
admin_only = Access("admin")
admin_in_chat_too = Access("admin", in_chat=True)
platform_only = Access("platform")
bot_only = Access("bot")

Person = Annotated[Caller, Depends(person)]
PersonWithKey = Annotated[Caller, Depends(person_with_key)]
Admin = Annotated[Caller, Depends(admin_only)]
AdminInChatToo = Annotated[Caller, Depends(admin_in_chat_too)]
