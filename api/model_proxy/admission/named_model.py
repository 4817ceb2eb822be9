"""Which model a request names. Its JSON is not built up: objects would take many times the memory of its bytes."""

import json
import re

MAX_DEPTH = 200
MAX_TOKENS = 500_000
"""Strings and brackets: ten times what the longest conversations have."""
_MAX_NAME = 1_000

# Possessive: what does not match is not tried in other ways. A lone quote begins a string that does not end.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{}]', re.DOTALL)
_COLON = re.compile(rb"[ \t\r\n]*+:[ \t\r\n]*+")
_CLOSES = {b"}": b"{", b"]": b"["}


class NoModel(Exception):
    """Why nothing can be told: a sentence."""


def named_model(body: bytes) -> str:
    """The value of `model` in the JSON object of a request. Raises NoModel.

    Whether the rest is JSON is for the vendor to say. One that names two models is refused: which of them counted
    for the price would not be sure to be the one that answers.
    """
    found: str | None = None
    opened: list[bytes] = []
    over = 0
    for number, match in enumerate(_TOKEN.finditer(body)):
        token = match[0]
        if number >= MAX_TOKENS:
            raise NoModel(f"The request has more than {MAX_TOKENS} values.")
        if over or (not opened and (token != b"{" or body[: match.start()].strip())):
            raise NoModel("The request is no JSON object.")
        if token in {b"{", b"["}:
            opened.append(token)
            if len(opened) > MAX_DEPTH:
                raise NoModel(f"The request is nested more than {MAX_DEPTH} deep.")
        elif token in _CLOSES:
            if opened.pop() != _CLOSES[token]:
                raise NoModel("The request is no JSON object.")
            over = 0 if opened else match.end()
        elif token == b'"':
            raise NoModel("The request is no JSON object.")
        elif len(opened) == 1 and (colon := _COLON.match(body, match.end())) and _text(token) == "model":
            if found is not None:
                raise NoModel("The request names more than one model.")
            found = _value(body, colon.end())
    if not over or body[over:].strip():
        raise NoModel("The request is no JSON object.")
    if found is None:
        raise NoModel("The request names no model.")
    return found


def _value(body: bytes, start: int) -> str:
    value = _TOKEN.match(body, start)
    text = _text(value[0]) if value is not None else None
    if text is None:
        raise NoModel("The request names no model.")
    return text


def _text(token: bytes) -> str | None:
    """What a short string says; None for what is none."""
    if not token.startswith(b'"') or not 2 <= len(token) <= _MAX_NAME:
        return None
    try:
        said = json.loads(token)
    except ValueError:
        return None
    return said if isinstance(said, str) else None
