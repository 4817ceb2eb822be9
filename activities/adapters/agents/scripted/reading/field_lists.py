"""Lists of fields: `title, year:int and read (bool)`. What stands behind such a list is left to the caller."""

import re
from collections.abc import Iterator, Sequence

from .clauses import is_negated
from .interface_wishes import is_about_the_interface, is_quality
from .nouns import RUSSIAN_FIELDS, SUGGESTED, TYPE_WORDS, suggested_type, transliterated
from .wish import IDENTIFIER, MAX_NAME, Field, WishError, safe_name

KNOWN_FIELDS = frozenset(
    {*RUSSIAN_FIELDS, *RUSSIAN_FIELDS.values(), "surname", "pages", "isbn", "done", "priority", "username"}
)
SAFE_LAST_TYPES = frozenset({"int", "integer", "bool", "boolean", "float", "str", "string", "decimal", "datetime"})
MAY_BE_PASSWORD = frozenset({"string", "text", "integer", "number"})
"""A PIN of digits is no less secret than one of letters, and may begin with a zero."""
OPTIONAL = re.compile(r"\(?\b(?:optional|необязательн\w+)\)?\s*$|\?\s*$", re.IGNORECASE)
LIST_SEPARATOR = re.compile(r",(?![^(]*\))|\s+(?:and|и)\s+|\s*&\s*|\s+[-–—]\s+")
_REMARK = re.compile(r"\s+[-–—]\s")
TYPED = re.compile(r"(?P<name>[^:()]+?)\s*(?::\s*(?P<after>[^:()]+)|\(\s*(?P<inside>[^()]+?)\s*\))?")
MOST_WORDS = 3
_NEVER_IN_A_NAME = frozenset(
    [
        "by",
        "for",
        "from",
        "to",
        "with",
        "when",
        "if",
        "only",
        "must",
        "should",
        "can",
        "could",
        "may",
        "will",
        "so",
        "that",
        "which",
        "but",
        "each",
        "every",
        "me",
        "i",
        "we",
        "it",
        "they",
        "sort",
        "sorted",
        "show",
        "search",
        "send",
        "export",
        "import",
        "notify",
        "remind",
        "delete",
        "remove",
        "add",
        "make",
        "use",
        "please",
        "let",
        "rename",
        "change",
        "also",
        "then",
        "plus",
        "would",
        "than",
        "as",
        "two",
        "three",
        "four",
        "по",
        "для",
        "если",
        "когда",
        "чтобы",
        "но",
        "только",
        "может",
        "могут",
        "можно",
        "надо",
        "нужно",
        "нужен",
        "нужна",
        "мне",
        "я",
        "мы",
        "он",
        "она",
        "оно",
        "они",
        "покажи",
        "показывай",
        "пришли",
        "отправь",
        "удали",
        "добавь",
        "сделай",
        "ищи",
        "найди",
        "пожалуйста",
        "а",
        "ещё",
        "еще",
        "также",
        "потом",
        "затем",
        "плюс",
        "пусть",
        "чтоб",
        "поиск",
        "экспорт",
        "импорт",
        "никто",
        "две",
        "два",
        "три",
        "четыре",
        "с",
        "со",
        "в",
        "во",
        "на",
        "из",
        "к",
        "ко",
        "от",
        "при",
        "через",
    ]
)

_NEVER_BEFORE_THE_END = frozenset(["a", "an", "the", "at", "in", "on", "via", "every", "all", "my", "our"])
"""`encrypted at rest` is no name, while `created at` is one."""
_ARTICLE = re.compile(r"\A(?:an?|the|their|its)\s+(?=\S)", re.IGNORECASE)
_RUSSIAN_VERB = re.compile(
    r"\w+(?:[аяую]ет|ёт|ируй|ывай|ивай|уй)(?:те)?|помнит|хранит|ставит|переводит|помни|храни|ставь"
)


def leading_fields(text: str, *, said: bool = False) -> tuple[list[Field], str]:
    """The fields at the beginning of a text, and what follows them. Raises WishError for one that cannot be built.

    `said`: somebody has called them fields, so that one may have any name.
    """
    fields: list[Field] = []
    items = [(item, start) for item, start in _items(text) if item]
    for number, (item, start) in enumerate(items):
        if fields and _REMARK.match(text, start):
            # `goods - title, price` begins another list inside of this one.
            return (fields, text[start:]) if len(fields) > 1 else ([], text)
        found = TYPED.fullmatch(OPTIONAL.sub("", item).strip())
        if not _may_be_field(item, found) or (not said and _interface_wish([one for one, _ in items[number:]])):
            return fields, text[start:]
        fields.append(_field(item, found))
    return fields, ""


def leading_known(text: str) -> bool:
    """Whether the first item is a field without a colon that says so: its name is usual, or its type is given."""
    item = next((item for item, _ in _items(text) if item), "").lower()
    found = TYPED.fullmatch(item)
    typed = found is not None and (found["after"] or found["inside"] or "").strip() in TYPE_WORDS
    return typed or item in KNOWN_FIELDS or any(pattern.fullmatch(item) for pattern, _ in SUGGESTED)


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


def may_be_name(text: str) -> bool:
    """Not a clause: none of its words belongs to a sentence."""
    words = text.lower().split()
    return len(words) < 2 or not any(word in _NEVER_IN_A_NAME or not word[0].isalnum() for word in words)


def _items(text: str) -> Iterator[tuple[str, int]]:
    """Each item of a list without its article, and where it begins, with the separator before it."""
    start = end = 0
    for separator in LIST_SEPARATOR.finditer(text):
        yield _ARTICLE.sub("", text[end : separator.start()].strip(" .!\t"), count=1), start
        start, end = separator.span()
    yield _ARTICLE.sub("", text[end:].strip(" .!\t"), count=1), start


def _may_be_field(item: str, found: "re.Match[str] | None") -> bool:
    """Not a sentence that has got into the list. What is neither raises an error later, which is asked about."""
    name = found["name"] if found else item
    words = name.lower().split()
    if len(words) == 1 and found and (found["after"] or found["inside"] or "").strip().lower() in TYPE_WORDS:
        return True
    if is_negated(item) or any(word in _NEVER_IN_A_NAME for word in words):
        return False
    if any(word in _NEVER_BEFORE_THE_END for word in words[:-1]) or (words[1:] and _RUSSIAN_VERB.fullmatch(words[0])):
        return False
    return found is None or len(words) <= MOST_WORDS


def leading_interface_wish(text: str) -> tuple[str, str] | None:
    """The wish about the interface at the beginning of a list, and the rest of the list; None if something else is."""
    items = [(item, start) for item, start in _items(text) if item]
    count = _interface_wish([item for item, _ in items])
    if not count:
        return None
    after = items[count][1] if len(items) > count else len(text)
    if count == 1:
        return items[0][0], text[after:]
    begins = LIST_SEPARATOR.match(text)
    return text[begins.end() if begins else 0 : after].strip(" .!\t"), text[after:]


def _interface_wish(items: Sequence[str]) -> int:
    """How many items at the beginning of a list are one wish about the interface: `clean`, `simple design` are."""
    for number, item in enumerate(items, start=1):
        if _is_about_the_interface(TYPED.fullmatch(OPTIONAL.sub("", item).strip())):
            return number
        if not is_quality(item):
            break
    return 0


def _is_about_the_interface(found: "re.Match[str] | None") -> bool:
    """A type makes a field of every name."""
    return found is not None and not (found["after"] or found["inside"]) and is_about_the_interface(found["name"])


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
    suggested = suggested_type(known.lower())
    chosen = TYPE_WORDS[kind] if kind else suggested
    if suggested == "password" and chosen in MAY_BE_PASSWORD:
        chosen = "password"
    # A flag that was not sent is off; every other named field is required.
    return Field(known, chosen, required=chosen != "boolean" and not OPTIONAL.search(item))
