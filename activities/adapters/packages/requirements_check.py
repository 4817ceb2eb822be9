"""Which requirement files the platform installs from: names and versions, nothing that runs or fetches code."""

import re
from pathlib import Path

from contracts import plain_text

FILES = ("requirements.txt", "requirements-dev.txt")
_MAX_BYTES = 256 * 1024
# Each part begins with a character that the part before it cannot take: no line takes more than linear time.
_PLAIN = re.compile(
    r"""[A-Za-z0-9][A-Za-z0-9._-]*            # name
        (\ ?\[[A-Za-z0-9,._\ -]+\])?          # extras
        (\ ?(===|==|~=|>=|<=|!=|<|>)\ ?[A-Za-z0-9*][A-Za-z0-9.*+!_-]*(\ ?,)?)*   # versions
        (\ ?;((?!\ -)[^@\\$])*)?              # marker; pip puts variables in place of ${NAME}
        (\ --hash=[a-z0-9]+:[0-9a-f]+)*""",
    re.VERBOSE,
)


def is_plain(requirement: str) -> bool:
    """Whether it is one package name with versions and nothing else."""
    return requirement.isascii() and _PLAIN.fullmatch(requirement) is not None


def requirement_files(project: Path) -> list[Path]:
    """The files that exist. Links too: they are refused later."""
    return [file for name in FILES if (file := project / name).is_symlink() or file.is_file()]


class UnsafeRequirement(ValueError):
    """Its text is the line that is not a plain name with versions (a URL, a path, an option), or what else is wrong."""


def plain_lines(file: Path) -> list[str]:
    """The requirements of the file, one on each line, without comments. Raises UnsafeRequirement.

    The platform builds the environments, so a line must not be able to run anything, or to say where packages come
    from. Installers get these lines and never the file, because each of them reads comments, continuations and
    encodings in its own way.
    """
    if file.is_symlink():
        raise UnsafeRequirement("the file is a symbolic link")
    if file.stat().st_size > _MAX_BYTES:
        raise UnsafeRequirement("the file is larger than 256 KB")
    decoded = plain_text.decoded(file.read_bytes())
    if decoded is None:
        raise UnsafeRequirement("the file is not a text file; save it as UTF-8")
    text = "\n".join([*decoded.splitlines(), ""])
    # A comment on its own line never continues on the next; a comment at the end of a line does.
    text = re.sub(r"(?m)^[ \t]*#.*$", "", text).replace("\\\n", " ")
    plain = []
    for line in text.splitlines():
        requirement = " ".join(re.sub(r"(^|\s)#.*", "", line).split())
        if requirement and not is_plain(requirement):
            raise UnsafeRequirement(line.strip()[:200])
        if requirement:
            plain.append(requirement)
    return plain
