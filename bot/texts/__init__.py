"""Everything that the bot says, in Fluent files, one per language. No text stands in code."""

from functools import cache
from html import escape
from pathlib import Path
from typing import get_args

from fluent.runtime import FluentBundle, FluentResource

from contracts.chat import Language

LANGUAGES: tuple[Language, ...] = get_args(Language)
DEFAULT: Language = "en"
_LONG = 300
_PLACE = "\ue000{}\ue001"
_DIRECTORY = Path(__file__).parent

Value = str | int


class Markup(str):
    """Text that is HTML already; everything else is escaped."""


class Texts:
    """The texts of one language, as Telegram's HTML. An unknown id is a KeyError: a test names every one in time."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._bundle = FluentBundle([language], use_isolating=False)
        self._bundle.add_resource(FluentResource((_DIRECTORY / f"{language}.ftl").read_text(encoding="utf-8")))

    def __call__(self, text_id: str, **values: Value) -> Markup:
        """HTML with `values` in it, each escaped unless it is Markup."""
        return Markup(self._format(text_id, {name: _escaped(value) for name, value in values.items()}))

    def plain(self, text_id: str, **values: Value) -> str:
        """Without markup and without escapes: for buttons and for answers to a press."""
        return self._format(text_id, values)

    def maybe(self, text_id: str, otherwise: str) -> str:
        """A plain text that may have no translation, such as a choice that an agent has thought of."""
        return self._format(text_id, {}) if self._bundle.has_message(text_id) else otherwise

    def has(self, text_id: str) -> bool:
        return self._bundle.has_message(text_id)

    def _format(self, text_id: str, values: dict[str, Value]) -> str:
        pattern = self._bundle.get_message(text_id).value
        if pattern is None:
            raise KeyError(text_id)
        long = {name: value for name, value in values.items() if isinstance(value, str) and len(value) > _LONG}
        # Fluent refuses long values, so they take their places afterwards.
        places = {name: _PLACE.format(number) for number, name in enumerate(long)}
        text, errors = self._bundle.format_pattern(pattern, {**values, **places})
        if errors:
            raise KeyError(f"{text_id}: {errors[0]}")
        for name, place in places.items():
            text = str(text).replace(place, long[name])
        return str(text)


@cache
def texts(language: Language) -> Texts:
    return Texts(language)


def spoken(language_code: str | None) -> Language:
    """The language for a person's language code, such as `ru-RU`."""
    wanted = (language_code or "").partition("-")[0].lower()
    return next((language for language in LANGUAGES if language == wanted), DEFAULT)


def _escaped(value: Value) -> Value:
    return value if isinstance(value, Markup | int) else escape(value, quote=False)
