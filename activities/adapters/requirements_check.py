"""Which requirement files the platform installs from: names and versions, nothing that runs or fetches code."""

from __future__ import annotations

import re
from pathlib import Path

FILES = ("requirements.txt", "requirements-dev.txt")
_MAX_BYTES = 256 * 1024
_PLAIN = re.compile(
    r"""[A-Za-z0-9][A-Za-z0-9._-]*            # name
        (\s*\[[A-Za-z0-9,._\s-]+\])?          # extras
        (\s*(===|==|~=|>=|<=|!=|<|>)\s*[A-Za-z0-9.*+!_-]+\s*,?)*   # versions
        (\s*;[^@]*?)?                         # marker
        (\s*--hash=[a-z0-9]+:[0-9a-f]+)*\s*""",
    re.VERBOSE,
)


def requirement_files(project: Path) -> list[Path]:
    """The files that exist; symbolic links do not count."""
    return [file for name in FILES if (file := project / name).is_file() and not file.is_symlink()]


def unsafe_requirement(file: Path) -> str | None:
    """The first line that is more than a name with versions (a URL, a path, an option), or None.

    The shared environment is built by the platform, so a line must not be able to run anything there.
    """
    content = file.read_bytes()
    if len(content) > _MAX_BYTES:
        return "the file is larger than 256 KB"
    text = content.decode(errors="replace").replace("\\\n", " ")
    for line in text.splitlines():
        plain = re.sub(r"(^|\s)#.*", "", line).strip()
        if plain and not _PLAIN.fullmatch(plain):
            return line.strip()[:200]
    return None
