"""What is secret does not stand in an error, a log or a transcript, however a program wrote it down."""

import base64
import html
import json
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from contracts.redaction import HIDDEN, redacted, redacted_part

VALUE = "the-start-of-it-\"' \\/%+&<>$`#=é漢-and-the-end-of-it"
PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQC7VJTU\n-----END KEY-----\n"
FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda value: value,
    "JSON": json.dumps,
    "JSON with letters": lambda value: json.dumps(value, ensure_ascii=False),
    "JSON in JSON": lambda value: json.dumps(json.dumps({"a": value})),
    "JSON with letters in JSON": lambda value: json.dumps(json.dumps({"a": value}, ensure_ascii=False)),
    "Python": repr,
    "Python, both quotes": lambda value: repr({"text": f"'{value}"}),
    "Python, double quotes": lambda value: repr(value.replace('"', "")),
    "Python in JSON": lambda value: json.dumps(repr({"a": value})),
    "shell": shlex.quote,
    "shell, with backslashes": lambda value: value.replace("'", "'\\''"),
    "HTML": html.escape,
    "HTML without quotes": lambda value: html.escape(value, quote=False),
    "URL": quote,
    "URL, all of it": lambda value: quote(value, safe=""),
    "URL, small letters": lambda value: re.sub("%..", lambda code: code[0].lower(), quote(value, safe="")),
    "form": quote_plus,
    "URL in JSON": lambda value: json.dumps(f"postgresql://me:{quote(value, safe='')}@db"),
    "hexadecimal": lambda value: value.encode().hex(),
    **{
        f"base64 after {before}": lambda value, before=before: base64.b64encode(
            b"x" * before + value.encode() + b"yz"
        ).decode()
        for before in range(3)
    },
    "Python in base64": lambda value: base64.b64encode(repr({"a": value}).encode()).decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
}
TRACES = (
    "start-of-it",
    "end-of-it",
    *(base64.b64encode(b"e-start-of-it"[i:]).decode()[:12] for i in range(3)),
    b"t-of-it".hex(),
)


@pytest.mark.parametrize("form", FORMS)
def test_a_value_is_hidden_however_it_was_written(form: str) -> None:
    secrets = [VALUE, VALUE.replace('"', "")]
    text = redacted(f"before {FORMS[form](VALUE)} after", secrets)
    assert HIDDEN in text
    assert (text[:6], text[-5:]) == ("before", "after")
    assert not [trace for trace in TRACES if trace in text], text


@pytest.mark.parametrize("form", ["JSON", "Python", "base64 after 1"])
def test_each_line_of_a_value_with_several_lines_is_hidden(form: str) -> None:
    line = PEM.splitlines()[1]
    for text in (FORMS[form](PEM), f"2026-01-01 key: {FORMS[form](line)}"):
        assert line not in redacted(text, [PEM])
        assert FORMS[form](line).strip("'\"")[4:20] not in redacted(text, [PEM])


def test_a_value_inside_another_leaves_nothing_of_the_longer_one() -> None:
    assert redacted("postgresql://me:password@db", ["password", "postgresql://me:password@db"]) == HIDDEN


@pytest.mark.parametrize("cut", [1, 5, 12, 20, 30])
def test_a_value_that_lost_its_begin_or_its_end_is_hidden_too(cut: int) -> None:
    for form in (VALUE, json.dumps(VALUE)[1:-1], VALUE * 10):
        assert redacted_part(f"{form[cut:]} and more", [VALUE, VALUE * 10]) == f"{HIDDEN} and more"
        assert redacted_part(f"more and {form[:-cut]}", [VALUE, VALUE * 10]).startswith("more and ")
        assert "start-of" not in redacted_part(f"more and {form[:-cut]}", [VALUE, VALUE * 10])


def test_ordinary_text_stays_as_it_is() -> None:
    text = "The key is 1234 and the word is yes; nothing else, nothing less."
    assert redacted(text, ["", "yes", "a longer value"]) == text
    assert redacted_part(text, ["", "yes", "a longer value"]) == text
