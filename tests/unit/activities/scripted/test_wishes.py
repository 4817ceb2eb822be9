"""Every clause of a wish is built, asked about, or listed as not built; these were written from the README alone."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from activities.adapters.agents.scripted.nouns import TYPE_WORDS
from activities.adapters.agents.scripted.sentences import field_name, understand
from activities.adapters.agents.scripted.wish import Criterion, Wish
from contracts.modules_of_wish import modules_of

WISHES: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("wishes.toml").read_text(encoding="utf-8"))[
    "wish"
]


def plain(text: str) -> str:
    return re.sub(r"[\s.!?]+", " ", text).strip().casefold()


def criterion_of(wish: Wish, words: str) -> Criterion:
    """What stands for these words. A clause that vanished has none."""
    found = [one for one in wish.criteria if plain(words) in plain(one.words)]
    assert found, f"{words!r} has vanished; there is {[one.words for one in wish.criteria]}"
    return found[0]


def is_field(name: str, type_: str, expected: str) -> bool:
    wanted, _, kind = expected.partition(":")
    return name == field_name(wanted) and (not kind or type_ == TYPE_WORDS[kind])


def has_fields(wish: Wish, expected: list[str]) -> bool:
    return any(
        len(one.fields) == len(expected)
        and all(is_field(field.name, field.type, wanted) for field, wanted in zip(one.fields, expected, strict=True))
        for one in wish.entities
    )


def test_there_are_ten_wishes_in_each_language_with_three_clauses_or_more() -> None:
    assert [len([one for one in WISHES if one["language"] == language]) for language in ("en", "ru")] == [10, 10]
    assert all(len(one["clauses"]) >= 3 for one in WISHES)


@pytest.mark.parametrize("given", WISHES, ids=[one["text"][:40] for one in WISHES])
def test_no_clause_vanishes_and_what_the_readme_promises_is_built(given: dict[str, Any]) -> None:
    wish = understand(given["text"])
    for clause in given["clauses"]:
        found = criterion_of(wish, clause["words"])
        promised = clause.keys() - {"words"}
        assert found.built or not promised, f"not built: {found}"
        if "fields" in clause:
            assert has_fields(wish, clause["fields"]), wish.entities
        for name, reply in clause.get("answers", {}).items():
            assert [one.reply for one in wish.commands if one.name == name] == [reply]
        for name in clause.get("hidden", []):
            assert [field.type for one in wish.entities for field in one.fields if field.name == field_name(name)] == [
                "password"
            ]
        if "module" in clause:
            assert clause["module"] in modules_of(given["text"])
    asked_for = sum(len(one["fields"]) for one in given["clauses"] if "fields" in one)
    assert sum(len(one.fields) for one in wish.entities) == asked_for, "nothing is built that nobody asked for"
