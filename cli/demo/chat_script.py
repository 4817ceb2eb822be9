"""The chat without a terminal: lines come in, changes go out.

A line is said. A line such as `[Try again]` presses the button with that text, once there is one; `2` presses the
second button on the screen.
"""

from __future__ import annotations

import asyncio
import re
import sys

from cli.demo.chat_line import ChatLine, ChatScreen, Shown
from cli.terminal.exits import ExitCode
from cli.terminal.output import Output
from contracts.states import TaskState
from runtime.api_client import ApiClient

_BUTTON = re.compile(r"\[(.+)\]\Z")
_BUTTON_S = 300.0
_LOOK_S = 0.5
_ANSWER_S = 60.0
_SETTLE_S = 3.0


async def follow_script(api: ApiClient, line: ChatLine, out: Output) -> ExitCode:
    """Say and press what standard input holds, and show every change until nothing runs any more.

    FAILED when a task failed, or waits for an answer that the input does not hold.
    """
    known = {task.id for task in await api.tasks()}
    printing = asyncio.create_task(_print_changes(line, out))
    try:
        loop = asyncio.get_running_loop()
        while entry := await loop.run_in_executor(None, sys.stdin.readline):
            if entry.strip():
                await enter(line, entry.strip(), out)
        await _until_heard(line)
        code = await _until_quiet(api, known)
        # The last edit is on its way.
        await asyncio.sleep(_SETTLE_S)
        return code
    finally:
        printing.cancel()


async def enter(line: ChatLine, entry: str, out: Output) -> None:
    """One entry of the person: a button, by its number or text, or something to say."""
    match = _BUTTON.match(entry)
    if match is None and not entry.isdecimal():
        await line.say(entry)
        return
    found = await _button(line, match[1] if match else int(entry))
    if found is None:
        out.say(f"There is no button {entry} on the screen.")
        return
    answer = await line.press(*found)
    out.say(f"(pressed {found[1]}{': ' + answer if answer else ''})", style="dim")


async def _button(line: ChatLine, wanted: str | int) -> tuple[int, str] | None:
    """The button by its text or its number, as soon as it is there."""
    screen = await line.screen()
    deadline = asyncio.get_running_loop().time() + _BUTTON_S
    while (found := _among(screen, wanted)) is None and asyncio.get_running_loop().time() < deadline:
        screen = await line.screen(after=screen.frame)
    return found


def _among(screen: ChatScreen, wanted: str | int) -> tuple[int, str] | None:
    if isinstance(wanted, int):
        return screen.buttons[wanted - 1] if 1 <= wanted <= len(screen.buttons) else None
    return next((button for button in reversed(screen.buttons) if wanted.lower() in button[1].lower()), None)


async def _print_changes(line: ChatLine, out: Output) -> None:
    seen: dict[int, Shown] = {}
    screen = await line.screen()
    while True:
        for message in screen.messages:
            if seen.get(message.id) != message:
                _print(message, out, edited=message.id in seen)
        for gone in seen.keys() - {message.id for message in screen.messages}:
            out.say(f"#{gone} was deleted", style="dim")
        seen = {message.id: message for message in screen.messages}
        screen = await line.screen(after=screen.frame)


def _print(message: Shown, out: Output, *, edited: bool) -> None:
    who = "bot" if message.from_bot else "you"
    out.document(
        {"message": message.id, "from": who, "edited": edited, "text": message.text, "buttons": message.buttons}
    )
    out.say(f"#{message.id} {who}{' (edited)' if edited else ''}", style="bold")
    out.say(message.text)
    if message.buttons:
        out.say("".join(f"[{text}]  " for text in message.buttons))


async def _until_heard(line: ChatLine) -> None:
    """Wait until the bot has answered what was said last, for at most a minute."""
    deadline = asyncio.get_running_loop().time() + _ANSWER_S
    screen = await line.screen()
    while screen.messages and not screen.messages[-1].from_bot and asyncio.get_running_loop().time() < deadline:
        screen = await line.screen(after=screen.frame)


async def _until_quiet(api: ApiClient, known: set[str]) -> ExitCode:
    # What was said last becomes a task within moments.
    await asyncio.sleep(_SETTLE_S)
    while True:
        tasks = [task for task in await api.tasks() if task.id not in known]
        if any(task.state is TaskState.WAITING for task in tasks):
            return ExitCode.FAILED
        if all(task.state.is_final for task in tasks):
            done = all(task.state is TaskState.COMPLETED for task in tasks)
            return ExitCode.OK if done else ExitCode.FAILED
        await asyncio.sleep(_LOOK_S)
