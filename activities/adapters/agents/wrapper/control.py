"""The control directory: the platform puts files `NNN.json` there to steer or to cancel the running turn."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"\d{1,9}\.json")
_MAX_BYTES = 512 * 1024
_CLOSED_AFTER_WRITING, _MOVED_HERE = 0x08, 0x80
_NOT_BLOCKING = os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class Steer:
    """Something that a person says in the middle of the turn."""

    text: str


@dataclass(frozen=True)
class Cancel:
    """The turn ends now. `reason`: cancelled (by a person), or signal."""

    reason: str = "cancelled"


@dataclass(frozen=True)
class Hang:
    """Nothing was heard of the agent for `silent_s` seconds."""

    silent_s: float


Command = Steer | Cancel | Hang


class ControlDirectory:
    """Gives each command once to `take`, in the order of the file names; what is no command is passed over."""

    def __init__(self, directory: Path, take: Callable[[Command], None]) -> None:
        self._directory = directory
        self._take = take
        self._taken: set[str] = set()
        self._watch = -1

    def open(self) -> None:
        """Watch from now on; what is there already is taken at once. The kernel tells of new files."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._watch = _watched(self._directory)
        asyncio.get_running_loop().add_reader(self._watch, self._look)
        self._look()

    def close(self) -> None:
        if self._watch >= 0:
            asyncio.get_running_loop().remove_reader(self._watch)
            os.close(self._watch)
            self._watch = -1

    def _look(self) -> None:
        # At the first look nothing has happened yet.
        with contextlib.suppress(BlockingIOError):
            os.read(self._watch, 64 * 1024)
        names = [name for name in os.listdir(self._directory) if _NAME.fullmatch(name) and name not in self._taken]
        for name in sorted(names, key=lambda one: int(one.partition(".")[0])):
            command = _command(self._directory / name)
            if command is not None:
                self._taken.add(name)
                self._take(command)


def _watched(directory: Path) -> int:
    """A descriptor that becomes readable when a file of the directory is complete. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.inotify_init1(_NOT_BLOCKING))
    added = libc.inotify_add_watch(descriptor, os.fsencode(directory), _CLOSED_AFTER_WRITING | _MOVED_HERE)
    if descriptor < 0 or added < 0:
        raise OSError(ctypes.get_errno(), f"{directory} cannot be watched")
    return descriptor


def _command(path: Path) -> Command | None:
    """None for what is not whole yet, or no command."""
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    if said.get("kind") == "cancel":
        return Cancel()
    text = said.get("text")
    return Steer(text) if said.get("kind") == "steer" and isinstance(text, str) and text.strip() else None
