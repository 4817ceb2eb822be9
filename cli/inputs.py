"""What a person typed, checked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from contracts.errors import ErrorCode, OrchestratorError

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")
MAX_SECRET_BYTES = 65_536
MAX_SPEC_BYTES = 256_000


def refuse(message: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.INVALID_INPUT, message)


def build(model: type[Model], **fields: Any) -> Model:  # noqa: ANN401 - the model itself checks every field
    """The model, or INVALID_INPUT that names each bad field; values are not repeated."""
    from pydantic import ValidationError

    try:
        return model(**fields)
    except ValidationError as error:
        raise refuse(explained(error)) from None


def explained(error: Any) -> str:  # noqa: ANN401 - a pydantic ValidationError; its import is not free
    from contracts.wording import in_words

    problems = []
    for problem in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in problem["loc"]) or "input"
        problems.append(f"{place}: {in_words(problem)}")
    return "; ".join(problems)


def identifier(value: str, what: str) -> str:
    """An id such as the platform prints; anything else is refused before it becomes part of an address."""
    from pydantic import TypeAdapter, ValidationError

    from contracts.base import Identifier

    try:
        return TypeAdapter(Identifier).validate_python(value)
    except ValidationError:
        raise refuse(
            f"{what} is an id of letters, digits, dots, dashes and underscores, at most 100 characters. "
            f"`orchestrator {what.split()[0].lower()} list` shows the known ones."
        ) from None


def project_name(value: str) -> str:
    """A name that can be a repository and a service."""
    import re

    if not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", value):
        raise refuse(
            "NAME is lower-case Latin letters, digits and dashes, begins with a letter and has at most "
            "63 characters, such as `notes`. Write it for people with --title."
        )
    return value


def on_this_host(command: str) -> None:
    """Refuse a command about this host's platform while the environment says to use another one's API."""
    import os

    if os.environ.get("ORCHESTRATOR_API_URL"):
        raise refuse(
            f"`orchestrator {command}` is about the platform on this host, and ORCHESTRATOR_API_URL names an API; "
            "nothing was done. Unset ORCHESTRATOR_API_URL to use it."
        )


def text(value: str, what: str, limit: int = 20_000) -> str:
    """Free text: lines and tabs are fine, other control characters are not."""
    if len(value) > limit:
        raise refuse(f"{what} has {len(value)} characters; at most {limit} are allowed.")
    if any((ord(char) < 0x20 and char not in "\n\t\r") or 0x7F <= ord(char) <= 0x9F for char in value):
        raise refuse(f"{what} contains control characters; send plain text.")
    if any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise refuse(f"{what} is not valid UTF-8 text.")
    return value


def read_file(path: Path, what: str, limit: int) -> str:
    """The text of a file of at most `limit` bytes."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "that is not a path"
        raise refuse(f"{what} {str(path)!r} cannot be read: {reason}.") from None
    if len(content) > limit:
        raise refuse(f"{what} is larger than {limit} bytes.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise refuse(f"{what} is not UTF-8 text.") from None


def secret_value(file: Path | None, prompt: str) -> str:
    """A secret from a file, else from a hidden prompt, else from standard input; never from the arguments.

    One final line end is taken off, because editors and `echo` add it.
    """
    import getpass
    import sys

    if file is not None:
        value = read_file(file, "The secret's file", MAX_SECRET_BYTES)
    elif sys.stdin is None:
        raise refuse("There is no standard input to read the value from; use --value-file.")
    elif sys.stdin.isatty():
        value = getpass.getpass(f"{prompt}: ")
    else:
        value = _standard_input()
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise refuse("The value is empty; nothing was stored.")
    if "\x00" in value:
        raise refuse("The value contains a NUL character; no program could read it from its environment.")
    return value


def _standard_input() -> str:
    import sys

    content = sys.stdin.buffer.read(MAX_SECRET_BYTES + 1)
    if len(content) > MAX_SECRET_BYTES:
        raise refuse(f"The value is larger than {MAX_SECRET_BYTES} bytes.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise refuse("The value is not UTF-8 text.") from None
