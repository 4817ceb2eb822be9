"""Advice that can be run as it stands: with the path of this program, and the home that it works on."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

PROGRAM = "orchestrator"
_NAMED = re.compile(r"(?<![\w/=.-])orchestrator(?= [a-z])")
_QUOTED = re.compile(r"`orchestrator(?= [a-z])")
_ABOUT_ANOTHER_API = "ORCHESTRATOR_API_URL"
_HOME = "ORCHESTRATOR_HOME"


def full_commands(text: str) -> str:
    """`text` in which each `orchestrator COMMAND` runs from any directory and any shell, on the same platform."""
    return _NAMED.sub(lambda _: this_program(), text)


def named_commands(text: str) -> str:
    """A text of the platform in which each command that it quotes, as in `orchestrator COMMAND`, runs as it stands."""
    return _QUOTED.sub(lambda _: f"`{this_program()}", text)


def this_program() -> str:
    """How to run this program again: `orchestrator` where the shell finds it, or its path; with its home if chosen."""
    home = os.environ.get(_HOME)
    chosen = f"{_HOME}={shlex.quote(home)} " if home and not os.environ.get(_ABOUT_ANOTHER_API) else ""
    return f"{chosen}{_program()}"


def _program() -> str:
    started = Path(sys.argv[0])
    if started.name != PROGRAM:
        # `python -m cli`, from a source tree: whoever does that knows where the program is.
        return PROGRAM
    found = shutil.which(PROGRAM)
    if found is not None and _is_same(Path(found), started):
        return PROGRAM
    return shlex.quote(str(started.absolute()))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
