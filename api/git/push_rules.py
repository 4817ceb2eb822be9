"""What a push may change: branches of tasks. The main branch takes only commits whose tests have passed.

Git's own configuration enforces it (`receive.hideRefs` in `backend`); this module says it in words.
"""

import re

ALLOWED = "refs/heads/task"
REASON = "only branches task/... can be pushed; the main branch takes what the tests of a task have passed"
MAX_COMMANDS_BYTES = 64_000
_COMMAND = re.compile(rb"[0-9a-f]{40,64} [0-9a-f]{40,64} (refs/[^\x00-\x20\x7f]+)\Z")
_ALLOWED = re.compile(rb"refs/heads/task/[^\x00-\x20\x7f]+\Z")
_SHALLOW = re.compile(rb"shallow [0-9a-f]{40,64}\Z")


def refused_refs(begin: bytes) -> list[str] | None:
    """The refs in the commands of a push that may not be changed; None while the commands are not complete.

    What is no command (a signed push, for one) counts as refused.
    """
    refused, place = list[str](), 0
    while True:
        size = _size(begin[place : place + 4])
        if size is None or len(begin) < place + size:
            return None
        if size < 4:
            return refused
        line = begin[place + 4 : place + size].partition(b"\0")[0].rstrip(b"\n")
        if (ref := _refused(line)) is not None:
            refused.append(ref)
        place += size


def _size(digits: bytes) -> int | None:
    """The length of a line of the protocol, with its own four digits; 0 at the end; None when it has not come yet."""
    if len(digits) < 4:
        return None
    return int(digits, 16) if re.fullmatch(rb"[0-9a-fA-F]{4}", digits) else 0


def _refused(line: bytes) -> str | None:
    if _SHALLOW.match(line):
        return None
    command = _COMMAND.match(line)
    if command is None:
        return "the push"
    return None if _ALLOWED.match(command[1]) else command[1].decode("utf-8", "replace")


def refusal(refs: list[str]) -> bytes:
    """The answer to a push of `refs` as Git's own server would give it, so that people read the reason."""
    said = b"".join([_line(b"unpack ok\n"), *(_line(f"ng {ref} {REASON}\n".encode()) for ref in refs), b"0000"])
    return _line(b"\x01" + said) + b"0000"


def _line(content: bytes) -> bytes:
    return b"%04x" % (len(content) + 4) + content
