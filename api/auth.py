"""Who calls, and what each route allows them to do.

A route declares its access by one of `person`, `agents_may`, `admin_only`, `platform_only` or `bot_only`; a test
walks the routes.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends, Header, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.database import Session
from api.dependencies import part
from api.problems import permanent
from api.tables import AgentTokenRow, ApiKeyRow, UserRow
from contracts.base import Actor, utc_now
from contracts.errors import ErrorCode
from contracts.states import ActorVia, Role

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
_USER_OF_KEY = (
    select(UserRow)
    .join(ApiKeyRow, col(ApiKeyRow.user_id) == col(UserRow.user_id))
    .where(col(ApiKeyRow.key_hash) == bindparam("digest"))
)

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
    """Who calls. `project_id`, `commands` and `expires_at` are set for a scoped token.

    `platform` and `bot` are set for the platform's own processes, which are not people.
    """

    user_id: int
    role: Role
    via: ActorVia
    project_id: str | None = None
    commands: frozenset[str] | None = None
    expires_at: datetime | None = None
    platform: bool = False
    bot: bool = False

    @property
    def left_s(self) -> float | None:
        """How many seconds this caller's access still lasts, at least 0; None without a limit."""
        return None if self.expires_at is None else max(0.0, (self.expires_at - utc_now()).total_seconds())

    @property
    def sees_all(self) -> bool:
        """Whether other owners' things are visible."""
        return self.platform or (self.role is Role.ADMIN and self.commands is None)

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


async def _caller(
    key: Key, service_keys: ServiceKeysDep, session: Session, via: Via = "api", on_behalf: OnBehalf = None
) -> Caller:
    if key is None:
        raise permanent(ErrorCode.NOT_AUTHENTICATED, "Send your key as `Authorization: Bearer <key>`.")
    digest = hash_secret(key.credentials.strip())
    if _is(service_keys.bot, digest):
        return await _through_bot(session, service_keys, on_behalf)
    caller = _as_platform(service_keys, digest) or await _as_user(session, digest, ActorVia(via))
    caller = caller or await _as_agent(session, digest)
    if caller is None:
        raise permanent(ErrorCode.NOT_AUTHENTICATED, "This key is unknown, or the token has expired.")
    return caller


AnyCaller = Annotated[Caller, Depends(_caller)]


def _as_platform(service_keys: ServiceKeys, digest: str) -> Caller | None:
    if not _is(service_keys.platform, digest):
        return None
    return Caller(service_keys.user_id, Role.ADMIN, ActorVia.SCHEDULE, platform=True)


def _is(known: str | None, digest: str) -> bool:
    # Hashes of equal length, compared in constant time.
    return known is not None and hmac.compare_digest(known, digest)


async def _through_bot(session: AsyncSession, service_keys: ServiceKeys, user_id: int | None) -> Caller:
    """The person whom the bot names, with that person's rights; without a name, the bot itself."""
    if user_id is None:
        return Caller(service_keys.user_id, Role.AGENT, ActorVia.TELEGRAM, bot=True)
    user = await session.get(UserRow, user_id)
    if user is None:
        raise permanent(ErrorCode.NOT_ALLOWED, "The platform does not know this person; an admin can add them.")
    return Caller(user.user_id, Role(user.role), ActorVia.TELEGRAM)


async def _as_user(session: AsyncSession, digest: str, via: ActorVia) -> Caller | None:
    user = (await session.scalars(_USER_OF_KEY, {"digest": digest})).one_or_none()
    return None if user is None else Caller(user.user_id, Role(user.role), via)


async def _as_agent(session: AsyncSession, digest: str) -> Caller | None:
    token = await session.get(AgentTokenRow, digest)
    if token is None or token.expires_at <= utc_now():
        return None
    commands = frozenset(token.commands)
    return Caller(token.user_id, Role.AGENT, ActorVia.AGENT, token.project_id, commands, token.expires_at)


@dataclass(frozen=True)
class Access:
    """A route's rule. As a dependency it returns the caller, or refuses."""

    kind: Literal["person", "admin", "platform", "bot"]
    commands: frozenset[str] = frozenset()

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
        return self.kind == "person" or (self.kind == "admin" and caller.role is Role.ADMIN)

    def _refusal(self, caller: Caller) -> str:
        if caller.commands is not None:
            wanted = " or ".join(f"`{command}`" for command in sorted(self.commands))
            return f"This token may not do that{f'; it needs {wanted}' if wanted else ''}."
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
    return Access("person", frozenset(commands))


person = Access("person")
admin_only = Access("admin")
platform_only = Access("platform")
bot_only = Access("bot")

Person = Annotated[Caller, Depends(person)]
Admin = Annotated[Caller, Depends(admin_only)]
