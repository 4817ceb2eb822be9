"""Requests to change a project that exists: `add stars:int to books`, `remove the field year from books`."""

import re
from typing import Literal

from .field_lists import LIST_SEPARATOR, field_name, leading_fields, leading_known
from .naming import noun_in, singular_name
from .nouns import TYPE_WORDS
from .replies import command
from .wish import Change, Field, WishError

_POLITE = r"(?:(?:please|also|now|пожалуйста|также|ещё|еще|теперь)[\s,]+)*"
_ADD = r"(?:add|добавь(?:те)?)"
_REMOVE = r"(?:remove|delete|drop|убери(?:те)?|удали(?:те)?)"
_FIELD = r"(?:(?P<said>fields?|columns?|пол[еяю])\s+)?"
_THE = r"(?:(?:the|a|an)\s+)?(?:(?:new|нов\w+)\s+)?"
_THING = r"(?:(?:the|each|every|all|кажд\w+|все\w*)\s+)?(?P<name>[\w -]{1,60}?)\s*[.!]?"

ADD_FIELDS = re.compile(
    rf"{_POLITE}{_ADD}\s+{_THE}{_FIELD}(?P<fields>.+?)\s+(?:fields?\s+)?(?:to|for|in|к|ко|в|во|для)\s+{_THING}",
    re.IGNORECASE,
)
REMOVE_COMMAND = re.compile(
    rf"{_POLITE}{_REMOVE}\s+{_THE}(?:commands?\s+|команд\w*\s+)?/(?P<name>\w+)(?:\s+command)?\s*[.!]?", re.IGNORECASE
)
REMOVE_FIELDS = re.compile(
    rf"{_POLITE}{_REMOVE}\s+{_THE}{_FIELD}(?P<fields>.+?)\s+(?:fields?\s+)?(?:from|of|in|из|у|в)\s+{_THING}",
    re.IGNORECASE,
)
REMOVE_ENTITY = re.compile(
    rf"{_POLITE}{_REMOVE}\s+{_THE}(?:(?:resource|entity|table|list\s+of|list|ресурс|таблиц\w|список|сущность)\s+)?{_THING}",
    re.IGNORECASE,
)

_LIST = re.compile(rf":\s+(?!(?:{'|'.join(map(re.escape, TYPE_WORDS))})\b)", re.IGNORECASE)
"""A colon that begins a list and gives no field its type: `add readers: name`."""


def change_in(sentence: str) -> Change | None:
    """The change that a sentence asks for. Raises WishError for a new field that cannot be built."""
    if found := REMOVE_COMMAND.fullmatch(sentence):
        return Change("remove-command", command(found["name"], "-").name, sentence)
    if found := REMOVE_FIELDS.fullmatch(sentence):
        return _of_fields("remove-fields", found, _removed(found["fields"]), sentence)
    if found := REMOVE_ENTITY.fullmatch(sentence):
        return _of_entity(found["name"], sentence)
    if _LIST.search(sentence) is None and (found := ADD_FIELDS.fullmatch(sentence)):
        if not (found["said"] or leading_known(found["fields"])):
            return None
        fields, rest = leading_fields(found["fields"])
        return None if rest.strip() else _of_fields("add-fields", found, fields, sentence)
    return None


def _removed(text: str) -> list[Field]:
    """Fields by their names, or none where something else is said."""
    try:
        return [Field(field_name(name)) for one in LIST_SEPARATOR.split(text) if (name := one.strip(" .!\t"))]
    except WishError:
        return []


def _of_fields(
    kind: Literal["add-fields", "remove-fields"], found: re.Match[str], fields: list[Field], sentence: str
) -> Change | None:
    noun = noun_in(found["name"])
    if noun is None or not fields:
        return None
    return Change(kind, singular_name(noun), sentence, tuple(fields))


def _of_entity(name: str, sentence: str) -> Change | None:
    noun = noun_in(name)
    if noun is None:
        return None
    try:
        return Change("remove-entity", singular_name(noun), sentence)
    except WishError:
        return None
