"""What a person typed, checked before anything is sent."""

from __future__ import annotations

import getpass
import re
import sys
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from contracts.base import Identifier, new_id
from contracts.errors import ErrorCode, OrchestratorError
from contracts.project_spec import ProjectSpec, SecretName
from contracts.wording import counted, in_words

Model = TypeVar("Model", bound=BaseModel)
MAX_SECRET_BYTES = 65_536
MAX_SPEC_BYTES = 256_000
_WHERE_IDS_ARE = {
    "PROJECT": " `orchestrator project list` shows yours.",
    "TASK": " `orchestrator task list` shows yours.",
    "WORKER": " `orchestrator worker list` shows yours.",
    "QUESTION": " `orchestrator question list` shows those that are open.",
}


def refuse(message: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.INVALID_INPUT, message)


def build(model: type[Model], /, **fields: Any) -> Model:  # noqa: ANN401 - the model itself checks every field
    """The model, or INVALID_INPUT that names each bad field; values are not repeated."""
    try:
        return model(**fields)
    except ValidationError as error:
        raise refuse(_explained(error)) from None


def _explained(error: ValidationError) -> str:
    problems = []
    for problem in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in problem["loc"]) or "input"
        problems.append(f"{place}: {in_words(problem)}")
    return "; ".join(problems)


def identifier(value: str, what: str) -> str:
    """An id such as the platform prints; anything else is refused before it becomes part of an address."""
    try:
        return TypeAdapter(Identifier).validate_python(value)
    except ValidationError:
        raise refuse(
            f"{what} must be an id: letters, digits, dots, dashes and underscores, at most 100 characters."
            f"{_WHERE_IDS_ARE.get(what, '')}"
        ) from None


def request_id(given: str | None) -> str:
    """The caller's own id, so that a repetition is the same request; otherwise a fresh one."""
    return identifier(given, "REQUEST id") if given is not None else new_id()


def project_name(value: str) -> str:
    """A name that can be a repository and a service."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", value):
        raise refuse(
            "NAME must be lower-case Latin letters, digits and dashes, begin with a letter and have at most "
            "63 characters, such as `notes`. Use --title for a title in your own words."
        )
    return value


def secret_name(value: str) -> str:
    try:
        return TypeAdapter(SecretName).validate_python(value)
    except ValidationError:
        raise refuse(
            "NAME must be capital letters, digits and underscores, at most 100 characters, such as TELEGRAM_BOT_TOKEN."
        ) from None


def text(value: str, what: str, limit: int = 20_000) -> str:
    """Free text: lines and tabs are fine, other control characters are not."""
    if len(value) > limit:
        raise refuse(f"{what} has {counted(len(value), 'character')}; at most {limit} are allowed.")
    if any((ord(char) < 0x20 and char not in "\n\t\r") or 0x7F <= ord(char) <= 0x9F for char in value):
        raise refuse(f"{what} contains control characters; send plain text.")
    if any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise refuse(f"{what} is not valid UTF-8 text.")
    return value


def spec(path: Path | None) -> ProjectSpec | None:
    """A ProjectSpec from a JSON file; `-` is standard input."""
    if path is None:
        return None
    content = sys.stdin.read(MAX_SPEC_BYTES) if str(path) == "-" else read_file(path, "The spec", MAX_SPEC_BYTES)
    try:
        # Some editors put a mark before the text.
        return ProjectSpec.model_validate_json(content.removeprefix("\ufeff"))
    except ValidationError as error:
        raise refuse(f"The spec is not a valid ProjectSpec. {_explained(error)}") from None


def read_file(path: Path, what: str, limit: int) -> str:
    """The text of a file of at most `limit` bytes."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "that is not a path"
        raise refuse(f"{what} {str(path)!r} cannot be read: {reason}.") from None
    return _decoded(content, what, limit)


def secret_value(file: Path | None, prompt: str) -> str:
    """A secret from a file, else from a hidden prompt, else from standard input; never from the arguments.

    What a file holds is stored byte for byte. From a prompt or a pipe one final line end is taken off, because the
    enter key and `echo` add it.
    """
    if file is not None:
        value = read_file(file, "The file", MAX_SECRET_BYTES)
    elif sys.stdin is None:
        raise refuse("There is no standard input to read the value from; use --value-file.")
    elif sys.stdin.isatty():
        value = _without_line_end(getpass.getpass(f"{prompt}: "))
    else:
        typed = sys.stdin.buffer.read(MAX_SECRET_BYTES + 1)
        value = _without_line_end(_decoded(typed, "The value", MAX_SECRET_BYTES))
    if not value:
        raise refuse("The value is empty; nothing was stored.")
    if "\x00" in value:
        raise refuse("The value contains a NUL character, which an environment variable cannot hold.")
    return value


def _without_line_end(value: str) -> str:
    return value.removesuffix("\n").removesuffix("\r")


def _decoded(content: bytes, what: str, limit: int) -> str:
    if len(content) > limit:
        raise refuse(f"{what} is larger than {limit} bytes.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise refuse(f"{what} is not UTF-8 text.") from None
