"""Clauses: where one ends, whether it denies something, and whether it says anything at all."""

import re
from collections.abc import Iterable

from .stop_words import STOP_WORDS

_CHANGE = r"(?:add|remove|delete|drop|добавь(?:те)?|убери(?:те)?|удали(?:те)?)\b"
_SENTENCE_END = re.compile(
    rf"[;\n]|(?<=[.!?])\s+|,?\s+(?:and|then|и|а\s+также)\s+(?={_CHANGE})|,\s+(?={_CHANGE})", re.IGNORECASE
)
_WORDS = re.compile(r"[^\W_][\w'’-]*")
_NUMBERING = re.compile(r"^[ \t]*\(?\d{1,3}[.)][ \t]+", re.MULTILINE)
_CLAUSE_END = re.compile(r",\s+(?:and|but|и|но|а)\s+(?:also\s+|также\s+)?", re.IGNORECASE)
_NEGATION = re.compile(
    r"\b(?:(?:do|does|did|must|should|can|could|will|wo|would|may|is|are)\s*n[o']t|\w+n['’]t|cannot|never|no|not|nobody|"
    r"without|не|нет|без|нельзя|никогда|никому|никто|ни)\b",
    re.IGNORECASE,
)
_SHOWING = re.compile(
    r"\b(?:show|shown|shows|return|returned|display|displayed|reveal|visible|send|sent|see|seen)\b|"
    r"\b(?:показыв|показан|возвращ|вид(?:ен|на|но|ны)\b|выдав|отда)\w*",
    re.IGNORECASE,
)
_STORING = re.compile(
    r"\b(?:store|keep|save|record|ask\s+for|have|need|want|add|include)\b|\b(?:no|without|без)\b|"
    r"\b(?:хран|сохран|записыв|спрашив|добавля|нуж(?:ен|на|но|ны)\b)\w*",
    re.IGNORECASE,
)
_BOT = re.compile(r"\b(?:bot|бот\w{0,2})\b", re.IGNORECASE)
_FOR_WHOM = re.compile(
    r"\s(?:for|to)\s+(?:(?:my|our|the|an?)\s+)(?:[\w-]+\s+project|[\w-]+(?<!ing))$|"
    r"\sдля\s+(?:(?:моего|моей|моих|нашего|нашей|наших)\s+)?\w+(?<!ия)(?<!жи)(?<!та)$",
    re.IGNORECASE,
)
"""At the end of a clause, and no word for an activity: `для продажи` says what it does."""
_CONDITION = re.compile(
    r"\b(?:without|unless|until|except|if|when|while|before|after|only|whose|without|"
    r"без|если|когда|кроме|пока|только|до|после)\b",
    re.IGNORECASE,
)
_DENIAL_WORDS = frozenset(
    [
        "any",
        "more",
        "anymore",
        "please",
        "need",
        "needed",
        "want",
        "there",
        "thanks",
        "больше",
        "пожалуйста",
        "мне",
        "нам",
    ]
)
_FILLERS = STOP_WORDS | frozenset(
    [
        "also",
        "then",
        "but",
        "two",
        "three",
        "four",
        "several",
        "few",
        "commands",
        "says",
        "answers",
        "replies",
        "responds",
        "please",
        "thanks",
        "и",
        "а",
        "но",
        "также",
        "ещё",
        "еще",
        "затем",
        "потом",
        "две",
        "три",
        "четыре",
        "команды",
        "командами",
        "отвечает",
        "говорит",
        "пишет",
        "спасибо",
        "она",
        "он",
        "оно",
        "они",
        "который",
        "которая",
        "yes",
        "no",
        "ok",
        "okay",
        "continue",
        "retry",
        "да",
        "нет",
        "продолжай",
        "продолжить",
        "хорошо",
    ]
)


def sentences(text: str) -> list[str]:
    """Sentences, lines and what stands between semicolons; each request for a change is one of its own."""
    return [one.strip() for one in _SENTENCE_END.split(_NUMBERING.sub("", text)) if one and one.strip()]


def clauses(sentence: str) -> list[str]:
    """The parts of a sentence that was not understood, without those that say nothing."""
    return [one for part in _CLAUSE_END.split(sentence) if (one := tidy(part)) and says_something(one)]


def tidy(text: str) -> str:
    """One line without the marks and conjunctions around it."""
    line = " ".join(text.split()).strip(" ,;:.-–—")
    return re.sub(r"^(?:(?:and|but|also|и|но|а|также)\s+)+", "", line, flags=re.IGNORECASE)


def says_something(text: str) -> bool:
    return any(word not in _FILLERS for word in _WORDS.findall(text.lower()))


def asks_for_a_bot_only(text: str) -> bool:
    """`Make me a bot for my café`: whoever builds its commands has built it. What it is to do is another matter."""
    named = _BOT.search(text) is not None and not is_negated(text)
    return named and not says_something(_FOR_WHOM.sub(" ", text))


def is_negated(text: str) -> bool:
    return _NEGATION.search(text) is not None


def denies_showing(text: str) -> bool:
    """`Never show the password`, and not `don't show people without a password`."""
    return is_negated(text) and _SHOWING.search(text) is not None and _CONDITION.search(text) is None


def denies_storing(text: str, named: Iterable[str]) -> bool:
    """`Don't store the year`, `no year`: words that say this of what is named and nothing more.

    `No two books may have the same title` is no reason to leave out the title.
    """
    if not is_negated(text) or _STORING.search(text) is None or _SHOWING.search(text) is not None:
        return False
    rest = _STORING.sub(" ", _NEGATION.sub(" ", text.lower()))
    for one in named:
        rest = rest.replace(one, " ")
    return all(word in _FILLERS or word in _DENIAL_WORDS for word in _WORDS.findall(rest))
