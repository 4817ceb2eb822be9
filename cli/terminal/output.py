"""Output for people (plain tables and lines) and for programs (JSON). Nothing from outside can steer the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cli.terminal.advice import full_commands, named_commands

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

_NARROW = 8
"""What a column of words has at least."""
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Marks that reverse or hide text: a file name or a message could show as something else than it is.
_DIRECTION_MARKS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(text: object) -> str:
    """`text` without anything that controls a terminal: escapes, control characters, direction marks, surrogates."""
    # The logs of programs that wrote to a terminal end their lines with both; alone, a return overwrites its line.
    lines = str(text).replace("\r\n", "\n")
    return "".join(_REPLACEMENT if _obeyed(char) else char for char in lines)


def shortened(text: str, limit: int) -> str:
    """One line of at most `limit` characters, with an ellipsis where something is left out."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def _obeyed(char: str) -> bool:
    code = ord(char)
    if code < 0x20:
        return char not in "\n\t"
    return 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF or char in _DIRECTION_MARKS


class Output:
    """One command's output. With `as_json`, human lines are left out and documents are JSON, one per line."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._console: Console | None = None

    @property
    def console(self) -> Console:
        if self._console is None:
            # Here and below: slow to import, and neither `--help` nor --json needs it.
            from rich.console import Console

            self._console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
        return self._console

    def say(self, text: object = "", style: str | None = None) -> None:
        """One human line (or several)."""
        if not self.as_json:
            self.console.print(clean(text), style=style)

    def advise(self, text: str, style: str | None = None) -> None:
        """A human line that names commands: each can be run as it stands."""
        self.say(full_commands(text), style)

    def tell(self, text: str, style: str | None = None) -> None:
        """A line of the platform, which does not know how this program is started: commands in it are completed."""
        self.say(named_commands(text), style)

    def document(self, document: BaseModel | dict[str, object]) -> None:
        """One JSON document, only with --json; ASCII, so that no reader's encoding matters."""
        if self.as_json:
            value = document if isinstance(document, dict) else document.model_dump(mode="json")
            sys.stdout.write(json.dumps(value, default=str) + "\n")
            sys.stdout.flush()

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str, whole: int = 1) -> None:
        """Rows under headers; the sentence `empty` when there are none.

        The first `whole` columns, all that have addresses, and words with a digit, such as ids and commits, are never
        broken: they can be copied. Where that is wider than the terminal, each row is shown as a list.
        """
        if self.as_json:
            return
        cells = [[clean("" if cell is None else cell) for cell in row] for row in rows]
        if not cells:
            self.advise(empty)
            return
        unbroken = {number for number in range(len(headers)) if number < whole or _has_address(cells, number)}
        if _least_width(headers, cells, unbroken) > self.console.width:
            self._list(headers, cells)
        else:
            self._grid(headers, cells, unbroken)

    def _grid(self, headers: Sequence[str], cells: Sequence[Sequence[str]], unbroken: set[int]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for number, header in enumerate(headers):
            longest = _longest_id(cells, number)
            table.add_column(header, overflow="fold", no_wrap=number in unbroken, min_width=longest or None)
        for row in cells:
            table.add_row(*map(Text, row))
        self.console.print(table, soft_wrap=False)

    def _list(self, headers: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
        """Each row as lines of its own. Nothing is folded here: what is longer than a line stays one."""
        for number, row in enumerate(cells):
            if number:
                self.say()
            self.facts(zip(headers, row, strict=True))

    def facts(self, facts: Iterable[tuple[str, object]]) -> None:
        """`name  value` lines; facts without a value are left out."""
        shown = [(name, value) for name, value in facts if value not in (None, "", [])]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            self.say(f"{name:<{width}}  {value}")


def _has_address(cells: Sequence[Sequence[str]], column: int) -> bool:
    return any("://" in row[column] for row in cells)


def _longest_id(cells: Sequence[Sequence[str]], column: int) -> int:
    words = (word for row in cells for word in row[column].split())
    return max((len(word) for word in words if any(letter.isdigit() for letter in word)), default=0)


def _least_width(headers: Sequence[str], cells: Sequence[Sequence[str]], unbroken: set[int]) -> int:
    """What a table needs, with a space between columns: unbroken columns all of it, others their header and ids."""
    widths = [
        max(len(header), *(len(row[number]) for row in cells))
        if number in unbroken
        else max(
            min(max(len(header), _NARROW), max(len(header), *(len(row[number]) for row in cells))),
            _longest_id(cells, number),
        )
        for number, header in enumerate(headers)
    ]
    return sum(widths) + len(widths) - 1


def write_error(code: str, message: str, details: dict[str, str], *, as_json: bool) -> None:
    """An error as one document on standard output (--json), or as one clear message on standard error."""
    if as_json:
        error = {"code": code, "message": message, "details": details}
        sys.stdout.write(json.dumps({"error": error}) + "\n")
        return
    from rich.console import Console

    console = Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)
    console.print(f"error {code}: ", style="bold red", end="")
    console.print(clean(full_commands(message)))
    if request_id := details.get("request_id"):
        console.print(f"(request {clean(request_id)})", style="dim")
