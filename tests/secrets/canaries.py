"""Values that must be found nowhere, and the forms in which they may have been written.

What escaping leaves alone (letters, digits, dash, underscore) is what is searched for: a run of it appears in the text
whether that was quoted for JSON, a URL, HTML, SQL or a shell, once or twice, and also when the rest was cut off.
"""

import base64
import json
import re
import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

AWKWARD = "\"' \\/%+&<>$`#=é漢"
"""What one writer or another escapes."""
_LETTERS = string.ascii_letters + string.digits
_PIECE = 24
_INERT = re.compile(rb"[A-Za-z0-9_-]{12,}")
_WINDOW = 16
"""Bytes of a value that prove it: enough not to occur by chance, few enough to see one that was cut."""


@dataclass(frozen=True)
class Canary:
    """`value` is in the clear; `name` says what it is in a report, which never shows the value."""

    name: str
    value: bytes

    @property
    def text(self) -> str:
        return self.value.decode()

    def forms(self) -> Iterator[tuple[str, bytes]]:
        """How it may be written (for the report), and the bytes to look for."""
        for piece in self._pieces():
            yield "in the clear", piece
            yield "UTF-16", piece.decode("latin-1").encode("utf-16-le")
            yield "hexadecimal", piece.hex().encode()
            yield "hexadecimal", piece.hex().upper().encode()
            for once in _base64_forms(piece):
                yield "base64", once
                for twice in _base64_forms(once):
                    yield "base64, twice", twice

    def _pieces(self) -> set[bytes]:
        runs = _INERT.findall(self.value) or [self.value]
        return {
            window for run in runs for window in (run[:_WINDOW], run[len(run) // 2 :][:_WINDOW], run[-_WINDOW:])
            if len(window) >= _WINDOW // 2
        }  # fmt: skip


def new_canary(name: str, *, lines: int = 1) -> Canary:
    """A value that no writer can put down without escaping it, over several lines if asked."""
    line = (f"{_random()}{AWKWARD}{_random()}" for _ in range(lines))
    return Canary(name, "\n".join(line).encode())


def known_canary(name: str, value: str) -> Canary:
    """A value that others generated, such as a key of the platform."""
    assert len(value) >= _WINDOW, f"{name} is too short to be told from chance"
    return Canary(name, value.encode())


def key_file_canaries(name: str, file: Path) -> list[Canary]:
    """The raw keys of a key ring's file."""
    keys: dict[str, str] = json.loads(file.read_text())["keys"]
    return [Canary(name, base64.b64decode(key)) for key in keys.values()]


def _random() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_PIECE))


def _base64_forms(value: bytes) -> set[bytes]:
    """The characters that depend on `value` alone, wherever in a longer text it began; both alphabets."""
    found = set()
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + value)
        first = -(-before * 8 // 6)
        whole = coded[first : (before + len(value)) * 8 // 6]
        found |= {whole, whole.replace(b"+", b"-").replace(b"/", b"_")}
    return found
