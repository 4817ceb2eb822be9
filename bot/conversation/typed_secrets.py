"""Secrets that people type into a chat."""

import re

from pydantic import SecretStr

from contracts.questions import QuestionDTO
from runtime.observability.logging import register_secret

_NAMED_VALUE = re.compile(r"\s*([A-Z_][A-Z0-9_]{0,99})\s*[=:]\s*(\S.*?)\s*\Z")


def read_secrets(text: str, requested: list[str], missing: list[str]) -> dict[str, SecretStr]:
    """Values by name; empty if the text cannot be parsed. Values are registered, so that no log shows them.

    A text without names is the value if only one secret is requested or missing.
    """
    register_secret(text.strip())
    lines = _named_values(text)
    named = {match[1]: match[2] for match in lines if match is not None and match[1] in requested}
    if named and len(named) == len(lines):
        found = named
    elif len(missing) == 1 or len(requested) == 1:
        found = {(missing or requested)[0]: text.strip()}
    else:
        found = {}
    for value in found.values():
        register_secret(value)
    return {name: SecretStr(value) for name, value in found.items() if value}


def names_secret(question: QuestionDTO, text: str) -> bool:
    """Whether the text has a line `NAME=value` for a secret that the question asks for."""
    return any(match is not None and match[1] in question.secret_names for match in _named_values(text))


def _named_values(text: str) -> "list[re.Match[str] | None]":
    return [_NAMED_VALUE.match(line) for line in text.splitlines() if line.strip()]
