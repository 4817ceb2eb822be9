"""The change that a commit makes to main, as a text that a reviewer can read: bounded, whatever is in it."""

import asyncio
from dataclasses import dataclass
from typing import Final

from activities.adapters.forge.git import Git
from activities.ports import Mirror
from contracts.outside_text import cleaned

MAX_DIFF: Final = 90_000
"""Characters: a file of a workspace may be a little longer."""
_MOST_OF_A_FILE: Final = 30_000
_MOST_FILES: Final = 200
_GENERATED: Final = ("lock", ".min.js", ".min.css", ".svg", ".map")
"""How names end of what no person reads; `lock` of what package managers write."""
_DIFF: Final = (
    "-c", "core.bigFileThreshold=512k", "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
)  # fmt: skip


@dataclass(frozen=True)
class Change:
    """`diff` has the first of `files` that fit; `unread` of them are not in it, or not whole."""

    diff: str
    files: list[str]
    unread: int


async def change_of(mirror: Mirror, commit: str) -> Change:
    """What `commit` would change on main. Raises NOT_FOUND for an unknown one."""
    head, main = await mirror.fetch(commit), await mirror.fetch()
    git = Git(mirror.directory)
    base = await git.text("merge-base", main, head)
    files = await git.changed_files(base, head)
    parts: list[str] = []
    left, unread = MAX_DIFF, 0
    for number, file in enumerate(sorted(files, key=_is_generated)):
        text = "" if number >= _MOST_FILES or left <= 0 else await _diff_of(git, base, head, file)
        shown = text[: min(left, _MOST_OF_A_FILE)]
        unread += not text or len(shown) < len(text)
        left -= len(shown)
        parts.append(shown if len(shown) == len(text) else f"{shown}\n[… the rest of {file} is left out …]\n")
    return Change("".join(parts), files, unread)


async def _diff_of(git: Git, base: str, head: str, file: str) -> str:
    found = await git.run(*_DIFF, base, head, "--", file)
    return await asyncio.to_thread(lambda: cleaned(found.stdout.decode(errors="replace")))


def _is_generated(file: str) -> bool:
    return file.lower().endswith(_GENERATED)
