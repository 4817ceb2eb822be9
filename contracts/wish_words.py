"""Which words of a wish its criteria stand for: nothing that was asked for vanishes in silence.

A criterion quotes the words that it stands for. Words that none quotes are ignored: they are shown, and if they say
something they become a criterion of their own.
"""

import re
from collections.abc import Iterable, Sequence

from contracts.criteria import MAX_CRITERIA, Criterion

_WORD = re.compile(r"\[[a-z]+:[^\]\n]*\]|[^\W_][\w'’-]*|/\w+")
_DIRECTIVE = re.compile(r"\[[a-z]+:")
"""Told to a program of the platform and not to the service that is built: `[agent:slow=5]`."""
_JOINT = re.compile(r"\s*;\s+")
_MOST_WORDS, _MOST_SENTENCE = 500, 200
_SMALL_WORDS = """
a an the this that these those i we you it they me us my our your its some any of for to with and or but also
then please just now here there hi hello hey thanks thank want need would like could can should must will
shall let do make create build add write give get have has is are be there's i'd i'm we'd service app
application project program website site api bot system tool platform simple small new one и а но или же бы ли
в во на с со из от для к ко по о об у за под над до при без это этот эта эти тот та те я мы ты вы мне нам меня
нас мой моя моё мои наш наша пожалуйста просто ещё еще также потом затем хочу хотим надо нужно нужен нужна
нужны можно сделай сделайте создай создайте напиши напишите добавь добавьте дай дайте спасибо привет
здравствуйте сервис приложение проект программа сайт бот система простой простое простая новый новая новое
"""
_SAYS_NOTHING = frozenset(_SMALL_WORDS.split())


def unquoted(wish: str, quotes: Iterable[str]) -> list[str]:
    """The runs of words of `wish`, as they stand there, that none of `quotes` quotes.

    A quote counts with its words in their order, whatever is between them but words; `; ` may join several.
    """
    spans = [match.span() for match in _WORD.finditer(wish)]
    words = _Words([wish[start:end] for start, end in spans])
    for quote in sorted(quotes, key=len, reverse=True):
        words.mark(quote)
    return [wish[spans[first][0] : spans[last][1]] for first, last in _gaps(words.quoted)]


def with_every_word(wish: str, criteria: Sequence[Criterion]) -> tuple[list[Criterion], list[str]]:
    """Criteria that leave out no word that says something, and the words that are ignored.

    A run of words that no criterion quotes becomes a criterion `u1`, `u2`, … With as many criteria as there may be,
    the rest of the runs is ignored, and shown as such.
    """
    complete, ignored = list(criteria), []
    taken = {criterion.id for criterion in criteria}
    names = (name for number in range(1, 1_000) if (name := f"u{number}") not in taken)
    runs = unquoted(wish, (criterion.words for criterion in criteria))
    for part in (part for run in runs for part in _parts(run)):
        if says_something(part) and len(complete) < MAX_CRITERIA:
            complete.append(_asked_for(next(names), part))
        else:
            ignored.append(part)
    return complete, ignored


def says_something(words: str) -> bool:
    """Whether there is more in `words` than politeness, small words, and what is told to the platform."""
    found = _WORD.findall(words)
    return any(not _DIRECTIVE.match(word) and word.casefold() not in _SAYS_NOTHING for word in found)


def cut_at_a_word(text: str, limit: int) -> str:
    """The beginning of a text, at most `limit` characters, that ends with a whole word where there is more than one."""
    if len(text) <= limit:
        return text
    whole = text[: limit + 1].rsplit(maxsplit=1)[0]
    return whole if 0 < len(whole) <= limit else text[:limit]


def _parts(run: str) -> list[str]:
    """A long run in parts, each as long as a criterion may quote."""
    parts: list[str] = []
    while rest := run.strip():
        parts.append(cut_at_a_word(rest, _MOST_WORDS))
        run = rest[len(parts[-1]) :]
    return parts


def _asked_for(name: str, run: str) -> Criterion:
    sentence = " ".join(run.split())
    return Criterion(id=name, sentence=cut_at_a_word(sentence, _MOST_SENTENCE), words=run)


class _Words:
    """The words of a wish, and which of them are quoted.

    Each word is one character here: so a quote is found in a text of thousands of words as fast as a text is searched.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._known: dict[str, str] = {}
        for word in words:
            self._known.setdefault(word.casefold(), chr(len(self._known)))
        self._text = "".join(self._known[word.casefold()] for word in words)
        self.quoted = bytearray(len(words))

    def mark(self, quote: str) -> None:
        """Mark the first place of the quote whose words are not all marked; its parts, where the whole is nowhere."""
        words = [self._known.get(word.casefold()) for word in _WORD.findall(quote)]
        wanted = "".join(word for word in words if word)
        if not words:
            return
        if len(wanted) == len(words) and wanted in self._text:
            self._mark(wanted)
        elif len(parts := _JOINT.split(quote)) > 1:
            for part in parts:
                self.mark(part)

    def _mark(self, wanted: str) -> None:
        place, length = self._text.find(wanted), len(wanted)
        while place >= 0:
            if self.quoted.find(0, place, place + length) >= 0:
                self.quoted[place : place + length] = b"\1" * length
                return
            free = self.quoted.find(0, place + length)
            if free < 0:
                return
            place = self._text.find(wanted, free - length + 1)


def _gaps(quoted: bytearray) -> list[tuple[int, int]]:
    """First and last index of each run of words that are not quoted."""
    found: list[tuple[int, int]] = []
    for number, is_quoted in enumerate(quoted):
        if is_quoted:
            continue
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
