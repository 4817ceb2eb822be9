"""The chat as a window in the terminal: messages are edited in place, buttons are pressed by their number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Point
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.layout import HSplit, Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.styles import Style
from prompt_toolkit.widgets import TextArea

from cli.demo.chat_line import ChatLine, ChatScreen
from cli.terminal.output import clean

_TITLE = " An emulator, not Telegram: type a message or a button's number, then Enter; Ctrl-C exits "
_STYLE = {"title": "reverse", "you": "bold ansigreen", "bot": "bold ansiblue", "button": "ansicyan"}


async def open_window(line: ChatLine) -> None:
    """Show the chat until the person leaves."""
    window = _Chat(line, await line.screen())
    entry = TextArea(prompt="> ", multiline=False, height=1, accept_handler=lambda buffer: window.entered(buffer.text))
    control = FormattedTextControl(window.lines, get_cursor_position=window.last_line)
    keys = KeyBindings()
    keys.add("c-c")(lambda event: event.app.exit())
    keys.add("c-d")(lambda event: event.app.exit())
    application: Application[None] = Application(
        layout=Layout(
            HSplit(
                [
                    Window(height=1, content=FormattedTextControl([("class:title", _TITLE)])),
                    Window(control, wrap_lines=True),
                    entry,
                ]
            ),
            focused_element=entry,
        ),
        key_bindings=keys,
        style=Style.from_dict(_STYLE),
        full_screen=True,
    )
    following = asyncio.create_task(window.follow(application.invalidate))
    try:
        await application.run_async()
    finally:
        following.cancel()


class _Chat:
    def __init__(self, line: ChatLine, screen: ChatScreen) -> None:
        self._line = line
        self._screen = screen
        self._note = ""
        self._entering: set[asyncio.Task[None]] = set()

    def lines(self) -> StyleAndTextTuples:
        shown: StyleAndTextTuples = []
        number = 0
        for message in self._screen.messages:
            who = "bot" if message.from_bot else "you"
            shown += [(f"class:{who}", f"{who}  "), ("", f"{clean(message.text)}\n")]
            for text in message.buttons:
                number += 1
                shown.append(("class:button", f"  [{number}] {clean(text)}\n"))
            shown.append(("", "\n"))
        if self._note:
            shown.append(("class:button", f"({clean(self._note)})\n"))
        return shown

    def last_line(self) -> Point:
        """The end of the chat stays in view."""
        return Point(0, max(0, "".join(part[1] for part in self.lines()).count("\n") - 1))

    def entered(self, text: str) -> bool:
        """Take what was typed; False empties the line."""
        if text.strip():
            task = asyncio.ensure_future(self._enter(text.strip()))
            self._entering.add(task)
            task.add_done_callback(self._entering.discard)
        return False

    async def follow(self, redraw: Callable[[], None]) -> None:
        while True:
            self._screen = await self._line.screen(after=self._screen.frame)
            redraw()

    async def _enter(self, text: str) -> None:
        self._note = ""
        if not text.isdecimal():
            await self._line.say(text)
            return
        buttons = self._screen.buttons
        if not 1 <= int(text) <= len(buttons):
            self._note = f"There is no button {text}."
            return
        self._note = await self._line.press(*buttons[int(text) - 1])
