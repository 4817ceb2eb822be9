"""Understands a few shapes of sentence, in English and Russian.

`Make a notes service: title, text` - `A library with books: title, year:int, read:bool` -
`a bot with a command /hello that answers Hi`. Whatever else is said is not understood, on purpose.
"""

import re
from collections.abc import Iterable

from .nouns import (
    RUSSIAN_FIELDS,
    SUGGESTED,
    TYPE_WORDS,
    english,
    plural,
    singular,
    suggested_type,
    transliterated,
)
from .stop_words import STOP_WORDS
from .wish import COMMAND, IDENTIFIER, MAX_NAME, Command, Entity, Field, Wish, WishError, checked_fields, safe_name

RESERVED = frozenset({"doc", "page", "health", "admin", "secret_status"})
KNOWN_FIELDS = frozenset(
    {*RUSSIAN_FIELDS, *RUSSIAN_FIELDS.values(), "surname", "pages", "isbn", "done", "priority", "username"}
)
SAFE_LAST_TYPES = frozenset({"int", "integer", "bool", "boolean", "float", "str", "string", "decimal", "datetime"})
OPTIONAL = re.compile(r"\(?\b(?:optional|необязательн\w+)\)?\s*$|\?\s*$", re.IGNORECASE)
LIST_SEPARATOR = re.compile(r",(?![^(]*\))|\s+(?:and|и)\s+|\s*&\s*")
TYPED = re.compile(r"(?P<name>[^:()]+?)\s*(?::\s*(?P<after>[^:()]+)|\(\s*(?P<inside>[^()]+?)\s*\))?")
BULLETS = re.compile(r":[ \t]*\n((?:[ \t]*[-*•][ \t]*[^\n]+(?:\n|$))+)")
WITH_FIELDS = re.compile(
    r"(?P<head>.+?)\s+(?:with|having|that\s+have|с|со)\s+(?:the\s+)?(?P<said>fields?|полями|полем)?\s*(?P<tail>.+)",
    re.IGNORECASE,
)

_VERB = (
    r"(?:(?:that|which|it|котор\w+|она|он)\s+)?(?:(?:should|will|must|должн\w+|будет)\s+)?"
    r"(?:answer(?:s|ing)?|repl(?:y|ies|ying)|responds?|says?|returns?|sends?|"
    r"отвеча\w+|ответит|пишет|говорит|возвращает|присылает|выводит)\b(?:\s+(?:with|back)\b)?"
)
_NO_ROUTE = "".join(f"(?<!{method} )" for method in ("GET", "POST", "PUT", "PATCH", "DELETE"))
_QUOTED = "«(?P<q1>[^»]+)»|“(?P<q2>[^”]+)”|\"(?P<q3>[^\"]+)\"|'(?P<q4>[^'\n]+)'(?!\\w)"
_NEXT = r",?\s+(?:and|и|а)\s+(?:an?\s+)?(?:commands?\s+|команд\w*\s+)?/\w|,\s*/\w"
_PLAIN = rf"(?P<plain>[^\n;]+?)(?=\s*\.?\s*(?:$|;)|\.\s|{_NEXT})"
REPLY = re.compile(
    rf"{_NO_ROUTE}(?<![\w/])/(?P<name>\w+)\s*[,:–—-]*\s*{_VERB}\s*[:–—-]?\s*(?:{_QUOTED}|{_PLAIN})",
    re.IGNORECASE | re.MULTILINE,
)
# The same with the verb first, only where the reply is in quotes: `answers /hello with "Hi"`.
REPLY_TO = re.compile(
    rf"(?:answer(?:s|ing)?|repl(?:y|ies|ying)|responds?|отвеча\w+|ответит)\s+(?:to\s+|на\s+)?(?:an?\s+|the\s+)?"
    rf"(?:commands?\s+|команд\w*\s+)?/(?P<name>\w+)\s*(?:with|by|saying|текстом|фразой|словами)?\s*[:–—-]?\s*(?:{_QUOTED})",
    re.IGNORECASE,
)
_QUOTES = ("q1", "q2", "q3", "q4", "plain")
MAX_REPLY = 4_000


def understand(text: str) -> Wish:
    """The wish in a text; empty when nothing was understood. Raises WishError for a name that cannot be built."""
    first = [_command(found) for found in REPLY_TO.finditer(text)]
    text = REPLY_TO.sub(" ", text)
    commands = [*first, *(_command(found) for found in REPLY.finditer(text))]
    rest = BULLETS.sub(_one_line, REPLY.sub(" ", text))
    entities = [entity for clause in _clauses(rest) if (entity := _entity_in(clause))]
    return Wish(entities=_merged(entities), commands=list({one.name: one for one in commands}.values()))


def command(name: str, reply: str) -> Command:
    """Raises WishError unless Telegram would take the name and the text."""
    lowered = name.lower()
    if not COMMAND.fullmatch(lowered) or not reply.strip() or len(reply) > MAX_REPLY:
        raise WishError(f"/{name}")
    return Command(lowered, reply.strip())


def entity(name: str, fields: Iterable[Field], paths: Iterable[str] = ()) -> Entity:
    """An entity from its name in either number and language. `paths` are routes that the person named."""
    words = _english_words(name)
    if not words:
        raise WishError(name)
    one = [*words[:-1], singular(words[-1])]
    many = [*words[:-1], words[-1] if one[-1] != words[-1] else plural(words[-1])]
    known = safe_name("_".join(one), name)
    if known in RESERVED:
        raise WishError(name)
    default = "-".join(many)
    chosen = next((path for path in paths if path.replace("-", "_") in (known, "_".join(many))), default)
    return Entity(known, chosen, checked_fields(fields, name))


def field_name(text: str) -> str:
    """Raises WishError for what cannot be a field. Latin names stay as written, Russian ones are translated."""
    plain = text.strip()
    known = RUSSIAN_FIELDS.get(plain.lower()) or re.sub(r"[\s-]+", "_", transliterated_if_russian(plain))
    if len(known) > MAX_NAME or not IDENTIFIER.fullmatch(known.lower()):
        raise WishError(text)
    safe_name(known.lower(), text)
    return known


def transliterated_if_russian(text: str) -> str:
    return transliterated(text.lower()) if is_russian(text) else text


def is_russian(text: str) -> bool:
    return re.search("[а-яё]", text, re.IGNORECASE) is not None


def parse_fields(text: str) -> list[Field] | None:
    """None when the text is not a list of fields; raises WishError for a bad name or an unknown type."""
    items = [item.strip(" .!\t") for item in LIST_SEPARATOR.split(text)]
    items = [item for item in items if item]
    parsed = [TYPED.fullmatch(OPTIONAL.sub("", item).strip()) for item in items]
    if not items or any(found and len(found["name"].split()) > 3 for found in parsed):
        return None
    return [_field(item, found) for item, found in zip(items, parsed, strict=True)]


def _field(item: str, found: "re.Match[str] | None") -> Field:
    if found is None:
        raise WishError(item)
    name, kind = found["name"], (found["after"] or found["inside"] or "").strip().lower()
    words = name.split()
    if not kind and len(words) == 2 and words[1].lower() in SAFE_LAST_TYPES:
        name, kind = words[0], words[1].lower()
    if kind and kind not in TYPE_WORDS:
        raise WishError(item)
    known = field_name(name)
    chosen = TYPE_WORDS[kind] if kind else suggested_type(known.lower())
    # A flag that was not sent is off; every other named field is required.
    return Field(known, chosen, required=chosen != "boolean" and not OPTIONAL.search(item))


def _command(found: "re.Match[str]") -> Command:
    return command(found["name"], next(text for group, text in found.groupdict().items() if group in _QUOTES and text))


def _one_line(found: "re.Match[str]") -> str:
    items = [line.strip(" \t-*•") for line in found.group(1).splitlines()]
    return ": " + ", ".join(item for item in items if item) + "\n"


def _clauses(text: str) -> list[str]:
    return [clause.strip() for clause in re.split(r"[;\n]|(?<=[.!?])\s+", text) if clause.strip()]


def _entity_in(clause: str) -> Entity | None:
    head, colon, tail = clause.partition(":")
    explicit = bool(colon)
    if not colon or tail.startswith("//"):
        found = WITH_FIELDS.fullmatch(clause)
        if found is None:
            return None
        head, tail, explicit = found["head"], found["tail"], bool(found["said"])
        if not explicit and not _all_known(tail):
            return None
    name = _noun(re.sub(r"\b(?:fields?|полями|полем|поля)\b", " ", head, flags=re.IGNORECASE))
    if name is None:
        return None
    fields = parse_fields(tail)
    return entity(name, fields) if fields else None


def _all_known(tail: str) -> bool:
    items = [item.strip(" .!").lower() for item in LIST_SEPARATOR.split(tail)]
    return bool(items) and all(
        item in KNOWN_FIELDS or any(pattern.fullmatch(item) for pattern, _ in SUGGESTED) for item in items
    )


def _noun(head: str) -> str | None:
    """The last run of words that are not stop words: `A library with books` is about books."""
    if len(head.split()) > 15:
        return None
    runs: list[list[str]] = [[]]
    for token in re.findall(r"[^\s,]+|,", head):
        if token == "," or token.lower().strip("\"'«»().!?") in STOP_WORDS:
            runs.append([])
        else:
            runs[-1].append(token.strip("\"'«»().!?"))
    chosen = next((run for run in reversed(runs) if run), [])
    return " ".join(chosen) if 0 < len(chosen) <= 3 else None


def _english_words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.strip())
    words = re.split(r"[\s_-]+", spaced.lower())
    known = next((noun for word in words if (noun := english(word))), None)
    if known:
        return [known]
    return [transliterated(word) for word in words if word]


def _merged(entities: Iterable[Entity]) -> list[Entity]:
    """One entity per name; fields that are said twice count once."""
    merged: dict[str, Entity] = {}
    for one in entities:
        before = merged.get(one.singular)
        known = {field.name for field in before.fields} if before else set()
        fields = (*(before.fields if before else ()), *(field for field in one.fields if field.name not in known))
        merged[one.singular] = Entity(one.singular, one.path, fields)
    return list(merged.values())
