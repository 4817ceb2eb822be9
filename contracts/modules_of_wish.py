"""The modules that the words of a wish call for: a bot is a module of its own, and so are pages."""

import re

from contracts.states import Module

_NO = r"(?:\bno|\bnot|\bwithout|\bnever|n['’]t(?:\s+\w+)?|\bне(?:\s+\w+)?|\bбез|\bнет)\s+(?:a\s+|an\s+|any\s+|the\s+)?"
_WORDS = {
    Module.TG_BOT: r"(?:tele?gram|chat)?[\s-]*bots?|телеграмм?[\s-]*бот\w{0,3}|(?:чат-)?бот(?:а|у|ом|е|ы|ов)?|"
    r"(?:в\s+)?телеграмм?е?|telegram",
    Module.WEB: r"web\s*-?(?:pages?|site|interface)|веб-?\s*(?:страниц\w{0,3}|сайт\w{0,2}|интерфейс\w{0,2})",
}


def modules_of(wish: str) -> list[Module]:
    """The backend, which every project has that is made from a sentence, and what the words call for beside it."""
    return [Module.BACKEND, *(module for module, words in _WORDS.items() if _says(wish, words))]


def with_modules_of(wish: str, present: list[Module]) -> list[Module]:
    """The modules of a project, and those that the words of a further wish call for."""
    added: list[Module] = [
        module for module in modules_of(wish) if module not in present and module is not Module.BACKEND
    ]
    if Module.WEB in added and Module.BACKEND not in present:
        added.append(Module.BACKEND)
    return [*present, *added]


def _says(wish: str, words: str) -> bool:
    denied = re.sub(rf"{_NO}(?:{words})\b", " ", wish, flags=re.IGNORECASE)
    return re.search(rf"\b(?:{words})\b", denied, re.IGNORECASE) is not None
