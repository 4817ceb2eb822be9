"""Bot commands and their answers, as sentences say them: `/hello that answers Hi`, `answers /hello with Hi`.

An answer without quotation marks ends where another clause plainly begins. Where that is in doubt, it is asked about.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .clauses import is_negated
from .wish import COMMAND, Command, WishError

MAX_REPLY = 4_000
_ANSWERS = r"answer(?:s|ing)?|repl(?:y|ies|ying)|responds?|says?|отвеча\w+|ответит|пишет|говорит"
_WHICH = r"(?:that|which|it|котор\w+|она|он)\s+"
_WILL = r"(?:(?:should|will|must|должн\w+|будет)\s+)?"
_SENDS = rf"(?:{_ANSWERS}|returns?|sends?|возвращает|присылает|выводит)"
_VERB = (
    rf"(?:[ \t]*,?[ \t]+{_WHICH}{_WILL}{_SENDS}|[ \t]+{_WILL}{_SENDS}|[ \t]*[:–—-]*[ \t]*{_WILL}(?:{_ANSWERS}))"
    r"\b(?:\s+(?:with|back)\b)?"
)
"""`/hello, sends the news` is two clauses; `/hello, which sends the news` is one."""
_NO_ROUTE = "".join(f"(?<!{method} )" for method in ("GET", "POST", "PUT", "PATCH", "DELETE"))
_QUOTED = "«(?P<q1>[^»]+)»|“(?P<q2>[^”]+)”|\"(?P<q3>[^\"]+)\"|'(?P<q4>[^'\n]+)'(?!\\w)"
_COMMAND = r"(?:an?\s+|the\s+)?(?:commands?\s+|команд\w*\s+)?"
_NEXT = rf",?\s+(?:and|и|а)\s+(?:to\s+|на\s+)?{_COMMAND}/\w|,\s*(?:to\s+|на\s+)?{_COMMAND}/\w"
_CLAUSE = (
    r",\s+(?:and|but|also|then|и|но|а|также|ещё|еще|потом|затем)\s|"
    r"\s(?:but|plus|as\s+well\s+as|но|плюс)\s|\s+[-–—]\s|\s+\("
)
_DOUBT = re.compile(
    r",\s|\s(?:and|also|when|whenever|if|unless|until|only|except|и|также|ещё|еще|когда|если|только|кроме|пока)\s",
    re.IGNORECASE,
)
_LIST = r",?\s+(?:and|и|а)\s+[^.!?;:\n/]+:\s"
"""A thing and its fields, which is no part of the answer before it."""
_END = rf"(?=\s*\.?\s*(?:$|;)|\.\s|(?<=[!?])\s|{_NEXT}|{_LIST}|{_CLAUSE})"
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
    re.compile(rf"{_NO_ROUTE}{_NAME}{_VERB}\s*[:–—-]?\s*(?:{_QUOTED}|{_PLAIN})", _FLAGS),
    # `says Hi on /hello`
    re.compile(
        rf"(?:{_ANSWERS})\s+(?:{_QUOTED}|(?P<plain>[^\n;/:]{{1,300}}?))\s+(?:on|to|for|at|на)\s+{_COMMAND}{_NAME}",
        _FLAGS,
    ),
)
# `/help with Ask me`: only after one of the others, which says that these are answers.
_ANOTHER = re.compile(rf"{_NAME}\s+(?:{_WITH})\s*(?:{_QUOTED}|{_PLAIN})", _FLAGS)
_REMOVING = re.compile(r"\s*(?:remove|delete|drop|убери|удали)", re.IGNORECASE)
_BEFORE = re.compile(r"(?:\b(?:на|to|on|for|a|an|the|commands?|команд\w*|with|с|которая|который)\s+)+$", re.IGNORECASE)
_ALL_OF_IT = frozenset({"yes", "all", "all of it", "да", "всё", "все", "целиком"})
_TEXTS = ("q1", "q2", "q3", "q4", "plain")


@dataclass(frozen=True)
class Found:
    """A command and the words that say it. `quoted`: quotation marks say where its answer ends."""

    command: Command
    words: str
    quoted: bool


class AnswerDoubt(WishError):
    """An answer that holds more than one part: the last may be a clause of its own. `name` are the command's words."""

    def __init__(self, found: Found) -> None:
        super().__init__(found.words)
        self.found = found


def commands_in(text: str) -> tuple[list[Found], str]:
    """The commands of a text, and the text with a semicolon for each. Raises WishError for an impossible one."""
    found: list[Found] = []
    for shape in SHAPES:
        text = _taken(shape, text, found)
    if found:
        text = _taken(_ANOTHER, text, found)
    return found, text


def doubtful(found: Found) -> bool:
    return not found.quoted and _DOUBT.search(found.command.reply) is not None


def first_part(reply: str) -> tuple[str, str]:
    """An answer up to the first doubt, and what follows it."""
    doubt = _DOUBT.search(reply)
    return (reply[: doubt.start()], reply[doubt.start() :].strip(" ,")) if doubt else (reply, "")


def with_answer(words: str, said: str) -> str:
    """The words of a doubtful command with what a person has said its answer is: that it is all of it, or another
    text. What the text leaves of the former answer stays as a clause. Other words are replaced.
    """
    found, _ = commands_in(words)
    if not found or not doubtful(found[0]):
        return said
    whole, answer = found[0].command.reply, said.strip().strip('."“”«»')
    if answer.lower() in _ALL_OF_IT:
        answer = whole
    rest = whole.removeprefix(answer).strip(" ,") if whole.startswith(answer) else ""
    quoted = f"/{found[0].command.name} says “{answer}”"
    return f"{quoted}; {rest}" if rest else quoted


def command(name: str, reply: str) -> Command:
    """Raises WishError unless Telegram would take the name and the text."""
    lowered = name.lower()
    if not COMMAND.fullmatch(lowered) or not reply.strip() or len(reply) > MAX_REPLY:
        raise WishError(f"/{name}")
    return Command(lowered, reply.strip())


def _taken(shape: re.Pattern[str], text: str, found: list[Found]) -> str:
    for match in _matches(shape, text):
        texts = match.groupdict()
        reply = next(value for group, value in texts.items() if group in _TEXTS and value)
        before = _BEFORE.search(text[: match.start()])
        start = before.start() if before else match.start()
        words = text[start : match.end()].strip()
        found.append(Found(command(match["name"], reply), words, quoted=not texts.get("plain")))
        text = text[:start] + ";".ljust(match.end() - start) + text[match.end() :]
    return text


def _matches(shape: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Those that are wanted: `Don't answer /start with Hello` asks for nothing, `Remove /start` for the opposite."""
    for match in shape.finditer(text):
        clause = re.split(r"[.!?;\n,]", text[: match.start()])[-1]
        if not is_negated(clause) and not _REMOVING.match(clause):
            yield match
