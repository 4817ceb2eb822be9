"""Telegram's HTML: what becomes of it, and in which words it is refused."""

import pytest

from emulators.telegram import html
from emulators.telegram.errors import ApiError


def test_tags_become_entities_counted_in_utf_16() -> None:
    text, entities = html.parse("🙂 <b>bold</b> &lt;x&gt; <a href='http://a.b/?q=1&amp;r=2'>link</a>")
    assert text == "🙂 bold <x> link"
    assert entities == [
        {"type": "bold", "offset": 3, "length": 4},
        {"type": "text_link", "offset": 12, "length": 4, "url": "http://a.b/?q=1&r=2"},
    ]


def test_white_space_at_both_ends_is_dropped() -> None:
    assert html.parse("\n <i> x </i>\n") == ("x", [{"type": "italic", "offset": 0, "length": 1}])


def test_an_ampersand_that_begins_nothing_stays() -> None:
    assert html.parse("a & b &copy; &#65;")[0] == "a & b &copy; A"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("<x>y</x>", 'Unsupported start tag "x" at byte offset 0'),
        ("ж <1", "Unclosed start tag at byte offset 3"),
        ("<b>y", 'Can\'t find end tag corresponding to start tag "b"'),
        ("y</b>", "Unexpected end tag at byte offset 1"),
        ("<b>y</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("<b>y</b", "Unclosed end tag at byte offset 4"),
        ("<span>y</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
def test_what_cannot_be_parsed_is_refused_in_telegrams_words(source: str, reason: str) -> None:
    with pytest.raises(ApiError) as refused:
        html.parse(source)
    assert refused.value.description == f"Bad Request: can't parse entities: {reason}"
