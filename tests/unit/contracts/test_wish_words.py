"""Every word of a wish is quoted by a criterion or shown as ignored."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.criteria import MAX_CRITERIA, Criterion
from contracts.wish_words import says_something, unquoted, with_every_word

WISH = "Please make a library with books: title, year:int. Never show passwords, and sort them by size!"


def criterion(name: str, words: str) -> Criterion:
    return Criterion(id=name, sentence="A sentence.", words=words)


def test_words_that_nobody_quotes_are_found_as_they_stand() -> None:
    quotes = ["a library with books: title, year:int", "sort them by size"]
    assert unquoted(WISH, quotes) == ["Please make", "Never show passwords, and"]


@pytest.mark.parametrize(
    "quote",
    [
        "Never show passwords",
        "never   SHOW passwords",
        "“never show passwords”",
        "a library with books; Never show passwords",
        "Never show passwords; what nobody said",
    ],
)
def test_a_quote_is_recognised_whatever_stands_between_its_words(quote: str) -> None:
    assert not any("passwords" in run for run in unquoted(WISH, [quote]))


def test_a_quote_with_one_word_left_out_or_put_in_quotes_nothing() -> None:
    assert unquoted("never show passwords", ["show never passwords", "never passwords", "never ever show"]) == [
        "never show passwords"
    ]


def test_a_clause_that_a_plan_has_dropped_becomes_a_criterion_of_its_own() -> None:
    planned = [criterion("c1", "a library with books: title, year:int")]
    complete, ignored = with_every_word(WISH, planned)
    assert [(one.id, one.words) for one in complete[1:]] == [("u1", "Never show passwords, and sort them by size")]
    assert ignored == ["Please make"]


def test_what_is_told_to_the_platform_is_ignored_and_shown() -> None:
    complete, ignored = with_every_word("notes: title [agent:slow=5]", [criterion("c1", "notes: title")])
    assert len(complete) == 1
    assert ignored == ["[agent:slow=5]"]


def test_words_without_a_place_are_shown_as_ignored() -> None:
    full = [criterion(f"c{number}", "") for number in range(MAX_CRITERIA)]
    complete, ignored = with_every_word("sort them", full)
    assert (complete, ignored) == (full, ["sort them"])


def test_the_same_words_twice_need_two_quotes() -> None:
    assert unquoted("red cars, red cars", ["red cars"]) == ["red cars"]
    assert unquoted("red cars, red cars", ["red cars", "red cars"]) == []


@pytest.mark.parametrize(("words", "says"), [("Please make me a", False), ("пожалуйста, сделай", False), ("PDF", True)])
def test_politeness_says_nothing(words: str, says: bool) -> None:
    assert says_something(words) is says


@given(
    st.text(alphabet="ab c;,.-/'\n[:]ж", max_size=60), st.lists(st.text(alphabet="ab c;,ж", max_size=20), max_size=4)
)
def test_no_word_vanishes(wish: str, quotes: list[str]) -> None:
    complete, ignored = with_every_word(wish, [criterion(f"c{n}", quote) for n, quote in enumerate(quotes)])
    shown = " ".join([*(one.words for one in complete), *ignored]).casefold()
    for word in re.findall(r"[^\W_][\w'’-]*", wish.casefold()):
        assert word in shown


def test_a_long_run_becomes_several_criteria_with_whole_words() -> None:
    wish = " ".join(f"word{number}" for number in range(200))
    complete, ignored = with_every_word(wish, [])
    assert ignored == []
    assert " ".join(one.words for one in complete) == wish
    assert all(len(one.words) <= 500 for one in complete)
