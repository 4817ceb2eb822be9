"""The base models that every message shares.

Edge models (HTTP bodies, command line, bridges) reject unknown fields. Models that cross a workflow boundary do so too,
but they only ever grow, with defaults, so that an old history still decodes.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, Strict, StringConstraints

from contracts.states import ActorVia, ResultStatus, Role

MAX_TEXT = 20_000
"""Characters of free text that a person or an agent may send in one message."""

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""An id minted by a caller: letters, digits, dot, underscore, dash; at most 100 characters."""

CommitSha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
"""A full git commit id."""

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
UserId = Annotated[int, Field(ge=1, le=2**52, strict=True)]
"""The Telegram user id, everywhere. A number: neither its text nor `true`, which Python takes for 1."""

Whole = Annotated[int, Strict()]
YesNo = Annotated[bool, Strict()]
"""In what callers send: `true` is no number, and neither "3" nor "yes" is taken for what it looks like."""


def utc_now() -> datetime:
    """The current time, timezone-aware, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh random id, for a caller that has no id of its own."""
    return str(uuid4())


class Contract(BaseModel):
    """Frozen model; unknown fields are rejected at every edge."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)


class Actor(Contract):
    """Who asked. Workflow validators check it; it is never guessed."""

    user_id: UserId
    role: Role
    via: ActorVia


class QueueMeta(Contract):
    """Version and trace of one message."""

    version: Literal["1"] = "1"
    correlation_id: str = Field(default_factory=new_id, max_length=200)
    timestamp: AwareDatetime = Field(default_factory=utc_now)


class BaseMessage(QueueMeta):
    """A request to a department. The caller chooses `request_id`: a repeated start is the same start."""

    request_id: str = Field(default_factory=new_id, max_length=200)
    callback_stream: str | None = None
    actor: Actor | None = None


class BaseResult(Contract):
    """What a department answers. `duration_ms` is wall time of the whole request."""

    request_id: str
    status: ResultStatus
    error: str | None = None
    duration_ms: int | None = None


class Page(Contract):
    """A part of a list. `next_cursor` asks for the part behind it, with `?cursor=`; None at the end."""

    next_cursor: str | None = None
