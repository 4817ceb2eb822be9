"""Understands a few shapes of sentence, in English and Russian.

`Make a notes service: title, text` - `A library with books: title, year:int, read:bool` -
`a bot with a command /hello that answers Hi` - `add stars:int to books`. Whatever else is said is not understood, on
purpose, and stands in the wish's criteria as not built.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product

from . import clauses, replies
from .changes import leading_change
from .field_lists import (
    LIST_SEPARATOR,
    MOST_WORDS,
    SAFE_LAST_TYPES,
    field_name,
    is_russian,
    leading_fields,
    leading_interface_wish,
    leading_known,
)
from .naming import entity, noun_in
from .nouns import TYPE_WORDS
from .replies import command
from .wish import Command, Criterion, Entity, Field, Wish, WishError

__all__ = ["answered", "command", "described", "entity", "field_name", "is_russian", "merged", "understand"]

BULLETS = re.compile(r":[ \t]*\n((?:[ \t]*[-*•][ \t]*[^\n]+(?:\n|$))+)")
WITH_FIELDS = re.compile(
    r"(?P<head>.+?)\s+(?:with|having|that\s+have|с|со)\s+(?:the\s+)?(?P<said>fields?|полями|полем)?\s*(?P<tail>.+)",
    re.IGNORECASE,
)
_FIELD_WORD = re.compile(r"\b(?:fields?|полями|полем|поля)\b", re.IGNORECASE)
_TYPE = re.compile(r"\s*([\w/]+)\s*(?=[,.;)!?]|$|\s(?:and|и)\s|\s*&)")
_OTHER_TYPE = re.compile(
    r"\s+(?:lists?\s+of|array|set\s+of|enum|map|dict|json|file|image|uuid|bytes|список\s+из|массив|файл|картинка)\b",
    re.IGNORECASE,
)
"""A type that no field can have here. It is asked about: `tags: list of string` is no thing called tags."""
_ADDRESS = re.compile(r"\w+://\S*")
_HEAD_AND_LIST = re.compile(rf"[^:,\s]+\s[^:,]+:(?!//|(?:{'|'.join(sorted(SAFE_LAST_TYPES))})\b)", re.IGNORECASE)
_HAS_TYPED = re.compile(
    r"(?P<head>[^:,]+?)\s+(?:has|have|имеет|имеют)\s+(?:(?:an?|the)\s+)?(?P<tail>[^\s:,]+:[^\s].*)", re.IGNORECASE
)
"""`A loan has due:date` is about loans, and says the type of a field."""
_WORD = re.compile(r"[\w/]+")
_CLOSE_WORD = re.compile(r"^[^:]*:([^\W\d_]+)(?=\s+\w)")
"""`The price:float is optional` says something about a field, and begins no list."""
_HEAD_END = re.compile(
    r",\s*(?:(?:and|but|и|но|а)\s+)?|\s+(?:and|but|plus|и|но|плюс|а\s+также)\s+|\s+[-–—]\s+", re.IGNORECASE
)
NOT_BUILT = "Not understood, so nothing was made of it."


@dataclass
class _Found:
    """What a sentence came to; `rest` are its parts that were not understood."""

    entities: list[tuple[Entity, str]] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)


def understand(text: str, *, asking: bool = True) -> Wish:
    """The wish in a text; empty when nothing was understood. Raises WishError for a name that cannot be built, and
    for an answer whose end is in doubt unless nobody can be asked.
    """
    found, rest = replies.commands_in(BULLETS.sub(_one_line, text))
    if asking and (doubt := next(filter(replies.doubtful, found), None)):
        raise replies.AnswerDoubt(doubt)
    wish = Wish(commands=list({one.command.name: one.command for one in found}.values()))
    wish.criteria = [Criterion(answered(one.command), one.words, about=f"/{one.command.name}") for one in found]
    denials: list[str] = []
    for sentence in clauses.sentences(rest):
        change, sentence = leading_change(clauses.tidy(sentence)) or (None, sentence)
        if change is not None:
            wish.changes.append(change)
        came_to = _Found(rest=[sentence]) if _denied_from_the_start(sentence) else _in_sentence(sentence)
        wish.entities += [one for one, _ in came_to.entities]
        wish.criteria += [Criterion(described(one), words, about=one.singular) for one, words in came_to.entities]
        denials += [part for left in came_to.rest for part in clauses.clauses(left)]
    wish.entities = merged(wish.entities)
    for words in denials:
        if wish.commands and clauses.asks_for_a_bot_only(words):
            said = wish.commands[0]
            wish.criteria.append(Criterion(answered(said), words, about=f"/{said.name}"))
        else:
            _hear(wish, words)
    return wish


def described(one: Entity) -> str:
    """A thing and its fields, in a sentence."""
    return f"{one.path} has {', '.join(f'{part.name} ({part.type})' for part in one.fields)}."


def answered(one: Command) -> str:
    """A command and its answer, in a sentence."""
    return f"/{one.name} answers with this text: {one.reply}"


def merged(entities: Iterable[Entity]) -> list[Entity]:
    """One entity per name; fields that are said twice count once."""
    found: dict[str, Entity] = {}
    for one in entities:
        before = found.get(one.singular)
        known = {part.name for part in before.fields} if before else set()
        fields = (*(before.fields if before else ()), *(part for part in one.fields if part.name not in known))
        found[one.singular] = Entity(one.singular, before.path if before else one.path, fields)
    return list(found.values())


def _hear(wish: Wish, words: str) -> None:
    """What was not understood is not built; a denial may still say something of a field that is."""
    if not clauses.is_negated(words):
        wish.criteria.append(Criterion(NOT_BUILT, words, built=False))
        return
    said = _fields_named(wish, words)
    named = list(said.values())
    hidden = [one for one in named if one.type == "password"]
    if hidden and clauses.denies_showing(words):
        wish.criteria.append(Criterion(f"{hidden[0].name} is stored as a hash and never returned.", words))
    elif named and clauses.denies_storing(words, said):
        _leave_out(wish, named)
        wish.criteria.append(Criterion(f"There is no field {', '.join(one.name for one in named)}.", words))
    else:
        wish.criteria.append(Criterion("Nothing was done about this.", words, built=False))


def _fields_named(wish: Wish, words: str) -> dict[str, Field]:
    """The fields that words name, by what they are called there."""
    fields = {one.name.lower(): one for thing in wish.entities for one in thing.fields}
    found: dict[str, Field] = {}
    parts = re.findall(r"[^\W\d_][\w-]*", words.lower())
    for length, start in product(range(MOST_WORDS, 0, -1), range(len(parts))):
        said = " ".join(parts[start : start + length])
        try:
            name = field_name(said).lower()
        except WishError:
            continue
        if name in fields:
            found[said] = fields[name]
    return found


def _leave_out(wish: Wish, fields: list[Field]) -> None:
    """Raises WishError when nothing is left of a thing."""
    kept = []
    for one in wish.entities:
        left = tuple(part for part in one.fields if part not in fields)
        if not left:
            raise WishError(one.path)
        kept.append(Entity(one.singular, one.path, left))
    wish.entities = kept


def _one_line(found: "re.Match[str]") -> str:
    items = [line.strip(" \t-*•") for line in found.group(1).splitlines()]
    return ": " + ", ".join(item for item in items if item) + "\n"


def _denied_from_the_start(sentence: str) -> bool:
    """`Don't make notes: title` asks for nothing; a denial behind the first field is a clause of its own."""
    head = sentence.partition(":")[0] if ":" in sentence else sentence
    return clauses.is_negated(head) and "," not in head


def _in_sentence(sentence: str) -> _Found:
    colons = _list_colons(sentence)
    if not colons:
        found = _with_fields(sentence)
        if found.entities or not _HEAD_AND_LIST.match(sentence):
            return found
        if has := _HAS_TYPED.fullmatch(sentence):
            found = _Found()
            _add(found, has["head"], has["tail"], sentence)
            return found
        if (typed := _CLOSE_WORD.search(sentence)) and typed[1].lower() in TYPE_WORDS:
            return found
        colons = [sentence.index(":")]
    found, begin = _Found(), 0
    for number, colon in enumerate(colons):
        end = _head_of(sentence, colon, colons[number + 1]) if number + 1 < len(colons) else len(sentence)
        _add(found, sentence[begin:colon], sentence[colon + 1 : end], sentence[begin:end])
        begin = end
    return found


def _list_colons(sentence: str) -> list[int]:
    """Colons that begin a list of fields, and none that gives a field its type."""
    found: list[int] = []
    addresses = [match.span() for match in _ADDRESS.finditer(sentence)]
    for match in re.finditer(":", sentence):
        at = match.start()
        if any(start <= at < end for start, end in addresses):
            continue
        close, typed = sentence[at + 1 : at + 2].strip() != "", _TYPE.match(sentence, at + 1)
        is_type = typed is not None and typed[1].lower() in TYPE_WORDS
        if not found:
            begins = _WORD.match(sentence, at + 1)
            is_type = is_type or (begins is not None and begins[0].lower() in TYPE_WORDS)
            if not (close and (is_type or "," in sentence[:at])):
                found.append(at)
        elif (
            not close
            and not is_type
            and not _OTHER_TYPE.match(sentence, at + 1)
            and LIST_SEPARATOR.search(sentence, found[-1] + 1, at)
        ):
            found.append(at)
    return found


def _head_of(sentence: str, before: int, colon: int) -> int:
    """Where the head of the next list begins: at the last separator before its colon."""
    return [match.start() for match in LIST_SEPARATOR.finditer(sentence, before + 1, colon)][-1]


def _with_fields(sentence: str) -> _Found:
    found = _Found()
    match = WITH_FIELDS.fullmatch(sentence)
    if match is None or not (match["said"] or leading_known(match["tail"])):
        found.rest.append(sentence)
        return found
    _add(found, match["head"], match["tail"], sentence)
    return found


def _add(found: _Found, head: str, tail: str, whole: str) -> None:
    """Take the thing that a head and its list make, leave the rest. `whole` begins with `head`, ends with `tail`."""
    ends = [match.end() for match in _HEAD_END.finditer(head)]
    cut = ends[-1] if ends else 0
    named = _FIELD_WORD.sub(" ", head[cut:])
    noun = None if clauses.is_negated(named) else noun_in(named) or noun_in(head)
    parts, wishes, rest = _listed(tail) if noun else ([], [], "")
    if noun is None or not parts:
        found.rest.append(whole)
        return
    found.rest += [head[:cut], *wishes, rest]
    for number, (fields, words) in enumerate(parts):
        said = whole[cut : len(whole) - len(tail)] + words if number == 0 and tail.startswith(words) else words
        found.entities.append((entity(noun, fields), clauses.tidy(said)))


def _listed(tail: str) -> tuple[list[tuple[list[Field], str]], list[str], str]:
    """The fields of a list, in parts with their words; the wishes about the interface between them; what follows."""
    parts: list[tuple[list[Field], str]] = []
    wishes: list[str] = []
    while True:
        fields, rest = leading_fields(tail)
        if fields:
            parts.append((fields, tail[: len(tail) - len(rest)]))
        wish = leading_interface_wish(rest)
        if wish is None:
            return parts, wishes, rest
        wishes.append(wish[0])
        tail = wish[1]
