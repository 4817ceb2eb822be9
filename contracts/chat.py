"""What the platform remembers of chats, so that a killed bot continues without losing or repeating a message."""

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field

from contracts.base import Contract, Identifier, Page, Text, UserId, Whole, YesNo
from contracts.states import Role

Language = Literal["ru", "en"]
ChatId = Annotated[int, Field(ge=-(2**62), le=2**62, strict=True)]
"""Of a private chat it is the person's id; of a group it is negative."""


WISH: Final = "wish"
"""What an update is taken for that opens a screen."""


class LanguageChoice(Contract):
    language: Language


class ChatScreenOpen(Contract):
    """A wish that was said in a chat, before anything has been answered. The same id again is the same wish.

    `project_id` is set if the work is in an existing project, `task_id` if it is under way already.
    """

    bot_id: Whole = Field(ge=1, le=2**62)
    chat_id: ChatId
    user_id: UserId
    language: Language
    wish: Text
    project_id: Identifier | None = None
    task_id: Identifier | None = None


class ChatScreenUpdate(Contract):
    """What has changed; None leaves a field as it is.

    `forget_message`: the message no longer exists. `chat_id`: the chat has another id now, as a group that became a
    supergroup.
    """

    chat_id: ChatId | None = None
    message_id: Whole | None = Field(default=None, ge=1, le=2**62)
    project_id: Identifier | None = None
    task_id: Identifier | None = None
    final: YesNo = False
    forget_message: YesNo = False


class ChatScreenDTO(ChatScreenOpen):
    """One message in a chat that shows one task, from its acknowledgement to its end.

    `message_id` is None until the message is known to be there, `task_id` until the task has been started; `final` once
    its last state is shown.
    """

    id: Identifier
    message_id: int | None = None
    final: bool = False
    created_at: AwareDatetime
    updated_at: AwareDatetime


class ChatScreenList(Page):
    items: list[ChatScreenDTO]


class ChatVisit(Contract):
    """Who speaks in a chat, and what was shown there lately: what is not final first, then newest first.

    In a private chat also the person's screens in other chats. `role` is None for a person whom the platform does not
    know.
    """

    user_id: UserId
    role: Role | None = None
    language: Language | None = None
    screens: list[ChatScreenDTO] = Field(default_factory=list)


class ChatUpdateMark(Contract):
    """What one update of a chat is taken for, such as the id of the question that it answers."""

    subject: str = Field(min_length=1, max_length=200)


class ChatUpdateDTO(ChatUpdateMark):
    """`known` says that the update was marked before; then `subject` is the earlier one."""

    id: Identifier
    known: bool = False
