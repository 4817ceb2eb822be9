"""Who may come in and by what, and the trail of what was done."""

from typing import Literal

from pydantic import AwareDatetime, Field

from contracts.base import Contract, Identifier, Page, UserId, Whole, YesNo
from contracts.nouns import MAX_KEY_TTL_S, UserDTO
from contracts.states import ActorVia, CredentialKind, Role, UserState

# People


class UserUpdate(Contract):
    """Only the given fields change. A blocked person keeps everything and cannot come in until they are unblocked."""

    role: Literal[Role.ADMIN, Role.MEMBER] | None = None
    state: Literal[UserState.ACTIVE, UserState.BLOCKED] | None = None
    name: str | None = Field(default=None, max_length=200)


class UserRemoval(Contract):
    """What becomes of the projects of a person who is removed: another person gets them, or they are archived.

    Without either, a person who has projects is not removed.
    """

    hand_over_to: UserId | None = None
    archive_projects: YesNo = False


class UserRemoved(Contract):
    """`projects` are the ids of those that were handed over or archived."""

    user: UserDTO
    projects: list[Identifier] = Field(default_factory=list)


# Credentials


class KeyRequest(Contract):
    """Another key for a person. The keys before, and all that was made with them, end unless `keep_others`.

    It works for `ttl_s` seconds, without it until it is ended. `name` is for lists.
    """

    name: str = Field(default="", max_length=200)
    ttl_s: Whole | None = Field(default=None, ge=60, le=MAX_KEY_TTL_S)
    keep_others: YesNo = False


class CredentialDTO(Contract):
    """What somebody may come in with; never the secret itself.

    `made_with` is the credential with which it was made, and with which it ends. `address` is where a session was
    opened.
    """

    id: Identifier
    kind: CredentialKind
    user_id: UserId
    name: str = ""
    made_with: str | None = None
    project_id: str | None = None
    commands: list[str] | None = None
    address: str | None = None
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None


class CredentialList(Page):
    items: list[CredentialDTO]


# The audit trail


class AuditEntry(Contract):
    """Who did what, with what, from where, on what, and how it ended. Entries are only added.

    `user_id` is None for the platform itself. `credential` is an id of a credential or the name of a service's key.
    `result` is `done`, or the code of the error with which it was refused.
    """

    id: int
    at: AwareDatetime
    user_id: UserId | None = None
    role: Role | None = None
    via: ActorVia
    credential: str | None = None
    address: str | None = None
    action: str
    target: str = ""
    result: str
    details: dict[str, str] = Field(default_factory=dict)
    request_id: str = ""


class AuditList(Page):
    items: list[AuditEntry]
