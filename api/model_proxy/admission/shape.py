"""How deep and how full of values the JSON of a request is, before it is built up.

Objects take many times the memory of their bytes: sixteen million numbers fit into 32 MB.
"""

import re

MAX_DEPTH = 200
MAX_TOKENS = 1_000_000
"""Strings, brackets and commas: ten times what the longest conversations have."""

# Possessive: what does not match is not tried in other ways. A lone quote begins a string that does not end.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{},]', re.DOTALL)


class OutOfShape(Exception):
    """Why it is not read: a sentence."""


def check_shape(body: bytes) -> None:
    """Raises OutOfShape for what would take more memory than a request of an agent does.

    It takes little memory itself, and says nothing about whether the body is JSON: whoever reads it then finds out.
    """
    depth = 0
    for number, match in enumerate(_TOKEN.finditer(body)):
        if number >= MAX_TOKENS:
            raise OutOfShape(f"The request has more than {MAX_TOKENS} values.")
        token = match[0]
        if token in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise OutOfShape(f"The request is nested more than {MAX_DEPTH} deep.")
        elif token in b"]}":
            depth -= 1
        elif token == b'"':
            raise OutOfShape("The request is no JSON: a string does not end.")
