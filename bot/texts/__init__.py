"""Everything the bot says, in one Fluent file per language. Code contains no texts for people."""

from functools import cache
from html import escape
from pathlib import Path
from typing import get_args

from fluent.runtime import FluentBundle, FluentResource

from contracts.chat import Language

LANGUAGES: tuple[Language, ...] = get_args(Language)
DEFAULT: Language = "en"
_MAX_FLUENT_VALUE = 300
_PLACEHOLDER = "\ue000{}\ue001"
_DIRECTORY = Path(__file__).parent

Value = str | int


class Markup(str):
    """HTML; any other value is escaped."""


class Texts:
    """The texts of one language, as Telegram HTML. An unknown id raises KeyError; a test finds those in the code."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._bundle = FluentBundle([language], use_isolating=False)
        self._bundle.add_resource(FluentResource((_DIRECTORY / f"{language}.ftl").read_text(encoding="utf-8")))

    def __call__(self, text_id: str, **values: Value) -> Markup:
        """The text as HTML. Values are escaped unless they are Markup."""
        return Markup(self._format(text_id, {name: _escaped(value) for name, value in values.items()}))

    def plain(self, text_id: str, **values: Value) -> str:
        """The text without HTML: for button labels and answers to callbacks."""
        return self._format(text_id, values)

    def get(self, text_id: str, default: str) -> str:
        """A plain text, or the default if there is no translation, as for a choice that an agent offers."""
        return self._format(text_id, {}) if self._bundle.has_message(text_id) else default

    def has(self, text_id: str) -> bool:
        return self._bundle.has_message(text_id)

    def _format(self, text_id: str, values: dict[str, Value]) -> str:
        pattern = self._bundle.get_message(text_id).value
        if pattern is None:
            raise KeyError(text_id)
        long = {
            name: value for name, value in values.items() if isinstance(value, str) and len(value) > _MAX_FLUENT_VALUE
        }
        # Fluent refuses long values, so placeholders stand for them until the text is formatted.
        placeholders = {name: _PLACEHOLDER.format(number) for number, name in enumerate(long)}
        text, errors = self._bundle.format_pattern(pattern, {**values, **placeholders})
        if errors:
            raise KeyError(f"{text_id}: {errors[0]}")
        for name, placeholder in placeholders.items():
            text = str(text).replace(placeholder, long[name])
        return str(text)


@cache
def texts(language: Language) -> Texts:
    return Texts(language)


def language_for(language_code: str | None) -> Language:
    """The language for a person's IETF language tag, such as `ru-RU`; English if there is no translation."""
    tag = (language_code or "").partition("-")[0].lower()
    return next((language for language in LANGUAGES if language == tag), DEFAULT)


def _escaped(value: Value) -> Value:
    return value if isinstance(value, Markup | int) else escape(value, quote=False)
