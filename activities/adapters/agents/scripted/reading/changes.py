"""Requests to change a project that exists: `add stars:int to books`, `remove the field year from books`."""

import re
from typing import Literal

from .field_lists import LIST_SEPARATOR, field_name, is_russian, leading_fields, leading_known, may_be_name
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
    rf"{_POLITE}{_REMOVE}\s+{_THE}{_FIELD}(?P<fields>.+?)\s+(?:fields?\s+)?(?P<where>from|of|in|из|у|в)\s+{_THING}",
    re.IGNORECASE,
)
REMOVE_ENTITY = re.compile(
    rf"{_POLITE}{_REMOVE}\s+{_THE}(?:(?:resource|entity|table|list\s+of|list|ресурс|таблиц\w|список|сущность)\s+)?"
    r"(?:the\s+)?(?P<name>[\w -]{1,60}?)\s*[.!]?",
    re.IGNORECASE,
)

ADD_FIELDS_BEHIND = re.compile(
    rf"{_POLITE}{_ADD}\s+(?:to|в|во|к|ко)\s+(?:(?:the|each|every|all|кажд\w+|все\w*)\s+)?(?P<name>[\w-]+)\s+"
    rf"{_THE}{_FIELD}(?P<fields>.+?)\s*[.!]?",
    re.IGNORECASE,
)
"""`Add to books the field stars:int`, `Добавь в книги поле оценка`."""
_BEGINS = re.compile(rf"{_POLITE}(?:{_ADD}|(?P<removes>{_REMOVE}))\b", re.IGNORECASE)
_REMAINDER = re.compile(r",\s+|\s+(?:and|but|plus|и|но|плюс)\s+|\s+[-–—]\s+|\s+\(|[.!?]\s+", re.IGNORECASE)
_RESTRICTS = re.compile(
    r"[\s,(–—-]*(?:but|except|unless|if|only|not|when|но|кроме|если|только|не|когда)\b", re.IGNORECASE
)
_LIST = re.compile(rf":\s+(?!(?:{'|'.join(map(re.escape, TYPE_WORDS))})\b)", re.IGNORECASE)
"""A colon that begins a list and gives no field its type: `add readers: name`."""


def leading_change(sentence: str) -> tuple[Change, str] | None:
    """The longest change at the beginning of a sentence, and what follows it. Raises WishError as `change_in` does.

    `Remove the books except the red ones` removes nothing: what restricts a removal is a part of it.
    """
    begins = _BEGINS.match(sentence)
    if begins is None:
        return None
    for end in [len(sentence), *(match.start() for match in reversed([*_REMAINDER.finditer(sentence)]))]:
        rest = sentence[end:]
        if begins["removes"] and _RESTRICTS.match(rest):
            return None
        if change := change_in(sentence[:end].rstrip()):
            return change, rest
    return None


def change_in(sentence: str) -> Change | None:
    """The change that a sentence asks for. Raises WishError for a new field that cannot be built."""
    if found := REMOVE_COMMAND.fullmatch(sentence):
        return Change("remove-command", command(found["name"], "-").name, sentence)
    found = REMOVE_FIELDS.fullmatch(sentence)
    if found and (found["said"] or found["where"].lower() in {"from", "of", "из"}):
        return _of_fields("remove-fields", found, _removed(found["fields"]), sentence)
    if found := REMOVE_ENTITY.fullmatch(sentence):
        return _of_entity(found["name"], sentence)
    if _LIST.search(sentence) is not None:
        return None
    if found := ADD_FIELDS_BEHIND.fullmatch(sentence) or ADD_FIELDS.fullmatch(sentence):
        if not (found["said"] or leading_known(found["fields"])):
            return None
        fields, rest = leading_fields(found["fields"], said=bool(found["said"]))
        return None if rest.strip() else _of_fields("add-fields", found, fields, sentence)
    return None


def _removed(text: str) -> list[Field]:
    """Fields by their names, or none where something else is said."""
    if not all(may_be_name(one) for one in LIST_SEPARATOR.split(text)):
        return []
    try:
        return [Field(field_name(name)) for one in LIST_SEPARATOR.split(text) if (name := one.strip(" .!\t"))]
    except WishError:
        return []


def _of_fields(
    kind: Literal["add-fields", "remove-fields"], found: re.Match[str], fields: list[Field], sentence: str
) -> Change | None:
    noun = _whole_noun(found["name"])
    if noun is None or not fields:
        return None
    return Change(kind, singular_name(noun), sentence, tuple(fields))


def _of_entity(name: str, sentence: str) -> Change | None:
    noun = _whole_noun(name)
    if noun is None:
        return None
    try:
        return Change("remove-entity", singular_name(noun), sentence)
    except WishError:
        return None


def _whole_noun(name: str) -> str | None:
    """A name that is a noun and nothing else: in `books and show the authors`, nobody has named the authors."""
    noun = noun_in(name)
    if noun is None or noun != " ".join(name.split()) or not may_be_name(noun):
        return None
    # Of several Russian words one is looked up alone: `старые книги` are not all books.
    return None if is_russian(noun) and len(noun.split()) > 1 else noun
