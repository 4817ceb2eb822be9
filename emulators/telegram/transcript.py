"""A chat as Markdown: every change that a user saw, in order."""

import re
from collections.abc import Iterable

from emulators.telegram.chats import Chat, Frame, Message

Rename = Iterable[tuple[str, str]]


def written(chat: Chat, *, rename: Rename = ()) -> str:
    """One block per change. `rename`: patterns for what differs between runs, and their replacements."""
    blocks = [_block(frame, before) for frame, before in zip(chat.frames, [None, *chat.frames], strict=False)]
    text = "\n\n".join(block for block in blocks if block)
    for pattern, replacement in rename:
        text = re.sub(pattern, replacement, text)
    return text + "\n"


def _block(frame: Frame, before: Frame | None) -> str:
    changed = next((message for message in frame.screen if message.id == frame.message_id), None)
    number = _place(frame, before)
    if changed is None:
        return f"**Message {number} is deleted**"
    if changed.sender is not None:
        return f"**{changed.sender.first_name}** writes\n\n{_quoted(changed)}"
    verb = "writes" if frame.change == "sent" else "edits its message"
    return f"**Bot** {verb}\n\n{_quoted(changed)}"


def _place(frame: Frame, before: Frame | None) -> int:
    screen = before.screen if before is not None else frame.screen
    ids = [message.id for message in screen]
    return ids.index(frame.message_id) + 1 if frame.message_id in ids else 0


def _quoted(message: Message) -> str:
    lines = [f"> {line}" if line else ">" for line in message.text.split("\n")]
    for row in message.keyboard:
        lines += [">", "> " + " ".join(f"`[{button.text}]`" for button in row)]
    return "  \n".join(lines)
