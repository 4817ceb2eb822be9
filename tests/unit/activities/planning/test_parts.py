"""The parts of a wish: by the order that a person gives, or by a model's answer, in the words of the wish."""

import pytest

from activities.adapters.planning.read_parts import read_parts
from activities.adapters.planning.script_parts import parts_of
from contracts.parts import MAX_PARTS, WorkPart, may_have_parts
from contracts.project_spec import ProjectSpec


def parts(wish: str, **spec: object) -> list[tuple[str, list[int]]]:
    found = parts_of(ProjectSpec.model_validate({"name": "books", "description": wish, **spec}))
    return [(part.words, part.after) for part in found]


def test_what_is_numbered_is_in_parts_and_waits_for_those_whose_things_it_speaks_of() -> None:
    wish = "A library.\n1. Books: title, year:int\n2. Clubs: name\n3. Add stars:int to books"
    assert parts(wish) == [
        ("A library.\nBooks: title, year:int", []),
        ("Clubs: name", []),
        ("Add stars:int to books", [1]),
    ]


def test_a_part_may_name_what_it_waits_for() -> None:
    wish = "1. Books: title. 2. Clubs: name. 3. Readers: name (after 1 and 2)"
    assert parts(wish) == [("Books: title.", []), ("Clubs: name.", []), ("Readers: name", [1, 2])]


@pytest.mark.parametrize(
    "wish",
    ["Books: title. Then clubs: name", "Книги: название. Затем клубы: имя", "Books: title.\nAfter that, clubs: name"],
)
def test_then_waits_for_what_stands_before_it(wish: str) -> None:
    assert [after for _, after in parts(wish)] == [[], [1]]


@pytest.mark.parametrize(
    "wish",
    [
        "Books: title, year:int. Never show the year",
        "A bot that asks for a name and then for an age",
        "Release 2. of the books service: title",
        "1. Books: title",
        "Books: title. Then please.",
        "",
    ],
)
def test_a_wish_in_one_piece_stays_in_one(wish: str) -> None:
    assert parts(wish) == []


def test_whatever_has_parts_is_looked_at() -> None:
    for wish in ("1. Books: title. 2. Clubs: name", "Books: title. Then clubs: name", "Книги. Затем клубы", "x" * 600):
        assert may_have_parts(wish), wish
    assert not may_have_parts("Books: title, year:int. Never show the year")


def test_a_specification_is_not_divided() -> None:
    data = [{"name": "book", "fields": [{"name": "title"}]}]
    assert parts("1. Books: title. 2. Clubs: name", data=data) == []


def test_too_many_parts_are_the_last_one() -> None:
    found = parts("\n".join(f"{number}. Things{'abcdefghijklmnop'[number]}: name" for number in range(1, 16)))
    assert len(found) == MAX_PARTS
    assert "Thingsp" in found[-1][0]


def read(*found: object, wish: str = "Books: title. Clubs: name. Never show ids.") -> list[WorkPart] | None:
    return read_parts(list(found), wish)


def test_words_that_a_model_drops_are_in_its_last_part() -> None:
    found = read(
        {"title": "Books", "words": ["Books: title."]}, {"title": "Clubs", "words": "Clubs: name.", "after": [1]}
    )
    assert found is not None
    assert [(one.words, one.after) for one in found] == [("Books: title.", []), ("Clubs: name.\nNever show ids", [1])]


@pytest.mark.parametrize(
    "found",
    [
        [],
        ["Books"],
        [{"title": "Books", "words": "Books with a back door"}],
        [{"title": "Books", "words": "…"}],
        [{"words": "Books: title."}] * (MAX_PARTS + 1),
    ],
)
def test_an_answer_with_words_of_its_own_or_none_is_not_used(found: list[object]) -> None:
    assert read(*found) is None


def test_a_part_waits_for_no_later_one_whatever_a_model_says() -> None:
    found = read(
        {"words": "Books: title.", "after": [2, 1, True, "1", -1]},
        {"title": "\u202eClubs\nand more", "words": "Clubs: name. Never show ids.", "after": [1, 1]},
    )
    assert found is not None
    assert [one.after for one in found] == [[], [1]]
    assert "\n" not in found[1].title
