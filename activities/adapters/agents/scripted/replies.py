"""Bot commands and their answers, as sentences say them: `/hello that answers Hi`, `answers /hello with Hi`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .clauses import is_negated
from .wish import COMMAND, Command, WishError

MAX_REPLY = 4_000
_ANSWERS = r"answer(?:s|ing)?|repl(?:y|ies|ying)|responds?|says?|отвеча\w+|ответит|пишет|говорит"
_VERB = (
    r"(?:(?:that|which|it|котор\w+|она|он)\s+)?(?:(?:should|will|must|должн\w+|будет)\s+)?"
    rf"(?:{_ANSWERS}|returns?|sends?|возвращает|присылает|выводит)\b(?:\s+(?:with|back)\b)?"
)
_NO_ROUTE = "".join(f"(?<!{method} )" for method in ("GET", "POST", "PUT", "PATCH", "DELETE"))
_QUOTED = "«(?P<q1>[^»]+)»|“(?P<q2>[^”]+)”|\"(?P<q3>[^\"]+)\"|'(?P<q4>[^'\n]+)'(?!\\w)"
_COMMAND = r"(?:an?\s+|the\s+)?(?:commands?\s+|команд\w*\s+)?"
_NEXT = rf",?\s+(?:and|и|а)\s+(?:to\s+|на\s+)?{_COMMAND}/\w|,\s*(?:to\s+|на\s+)?/\w"
_LIST = r",?\s+(?:and|и|а)\s+[^.!?;:\n/]+:\s"
"""A thing and its fields, which is no part of the answer before it."""
_END = rf"(?=\s*\.?\s*(?:$|;)|\.\s|(?<=[!?])\s|{_NEXT}|{_LIST})"
_PLAIN = rf"(?P<plain>[^\n;]+?){_END}"
_WITH = r"(?:with|by|saying|текстом|фразой|словами|словом)\s*[:–—-]?|[:–—-]"
_NAME = r"(?<![\w/])/(?P<name>\w+)"
_FLAGS = re.IGNORECASE | re.MULTILINE

SHAPES = (
    # `answers /hello with "Hi"`, `answers /hello "Hi"`
    re.compile(rf"(?:{_ANSWERS})\s+(?:to\s+|на\s+)?{_COMMAND}{_NAME}\s*(?:{_WITH})?\s*(?:{_QUOTED})", _FLAGS),
    # `answers /hello with Hi`
    re.compile(rf"(?:{_ANSWERS})\s+(?:to\s+|на\s+)?{_COMMAND}{_NAME}\s*(?:{_WITH})\s*{_PLAIN}", _FLAGS),
    # `/hello that answers Hi`
    re.compile(rf"{_NO_ROUTE}{_NAME}\s*[,:–—-]*\s*{_VERB}\s*[:–—-]?\s*(?:{_QUOTED}|{_PLAIN})", _FLAGS),
    # `says Hi on /hello`
    re.compile(
        rf"(?:{_ANSWERS})\s+(?:{_QUOTED}|(?P<plain>[^\n;/:]{{1,300}}?))\s+(?:on|to|for|at|на)\s+{_COMMAND}{_NAME}",
        _FLAGS,
    ),
)
# `/help with Ask me`: only after one of the others, which says that these are answers.
_ANOTHER = re.compile(rf"{_NAME}\s+(?:{_WITH})\s*(?:{_QUOTED}|{_PLAIN})", _FLAGS)
_BEFORE = re.compile(r"(?:\b(?:на|to|on|for|a|an|the|commands?|команд\w*|with|с|которая|который)\s+)+$", re.IGNORECASE)
_TEXTS = ("q1", "q2", "q3", "q4", "plain")


@dataclass(frozen=True)
class Found:
    """A command and the words that say it."""

    command: Command
    words: str


def commands_in(text: str) -> tuple[list[Found], str]:
    """The commands of a text, and the text with blanks in their place. Raises WishError for an impossible one."""
    found: list[Found] = []
    for shape in SHAPES:
        text = _taken(shape, text, found)
    if found:
        text = _taken(_ANOTHER, text, found)
    return found, text


def command(name: str, reply: str) -> Command:
    """Raises WishError unless Telegram would take the name and the text."""
    lowered = name.lower()
    if not COMMAND.fullmatch(lowered) or not reply.strip() or len(reply) > MAX_REPLY:
        raise WishError(f"/{name}")
    return Command(lowered, reply.strip())


def _taken(shape: re.Pattern[str], text: str, found: list[Found]) -> str:
    for match in _matches(shape, text):
        reply = next(value for group, value in match.groupdict().items() if group in _TEXTS and value)
        before = _BEFORE.search(text[: match.start()])
        start = before.start() if before else match.start()
        found.append(Found(command(match["name"], reply), text[start : match.end()].strip()))
        text = text[:start] + " " * (match.end() - start) + text[match.end() :]
    return text


def _matches(shape: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Those that are not denied: `Don't answer /start with Hello` asks for nothing."""
    for match in shape.finditer(text):
        clause = re.split(r"[.!?;\n,]", text[: match.start()])[-1]
        if not is_negated(clause):
            yield match
