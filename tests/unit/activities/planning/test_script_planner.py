"""The plan of a wish without a model: its clauses in order, and what it takes back."""

import pytest

from activities.acceptance import complete
from activities.adapters.planning.script_planner import ScriptPlanner
from contracts.planning import Plan, PlanRequest, Promise
from contracts.project_spec import ProjectSpec
from contracts.wish_words import says_something
from tests.unit.activities.planning import FOLLOW, JUDGE


def asked(description: str, *promised: str, **spec: object) -> PlanRequest:
    return PlanRequest(
        judge=JUDGE,
        spec=ProjectSpec.model_validate({"name": "books", "description": description, **spec}),
        promises=[Promise(check_id=name, sentence="s") for name in promised],
    )


async def plan(description: str, *promised: str, **spec: object) -> Plan:
    request = asked(description, *promised, **spec)
    return complete(request.spec, await ScriptPlanner().plan(request, FOLLOW), [])


async def test_each_clause_is_a_criterion_that_quotes_its_words() -> None:
    found = await plan("A library with books: title, year:int, password. Never show the password. Sort them by year.")
    assert [(one.sentence, one.words) for one in found.spec.acceptance] == [
        ("books has title (string), year (integer), password (password).",
         "A library with books: title, year:int, password"),
        ("password is stored as a hash and never returned.", "Never show the password"),
        ("Sort them by year", "Sort them by year"),
    ]  # fmt: skip
    assert found.ignored == []


@pytest.mark.parametrize(
    "wish",
    [
        "Please make me a notes service: title, text, dark mode. Thanks!",
        "Сделай список книг: название, год. Никому не показывай год.",
        "A bot with a command /hello that answers Hi and /bye that answers See you",
        "Something beautiful, like last time",
        "Add stars:int to books and remove the field year from books. Keep it fast [agent:slow=1]",
        "class: a, b",
    ],
)
async def test_every_word_is_quoted_or_shown_as_ignored(wish: str) -> None:
    found = await plan(wish)
    shown = " ".join([*(one.words for one in found.spec.acceptance), *found.ignored]).casefold()
    assert [word for word in wish.casefold().replace(",", " ").split() if word.strip(".!:") not in shown] == []
    assert not any(says_something(run) for run in found.ignored)


async def test_criteria_of_a_spec_stay_and_come_first() -> None:
    found = await plan("books: title", acceptance=[{"id": "mine", "sentence": "It is quick.", "words": ""}])
    assert [one.id for one in found.spec.acceptance] == ["mine", "p1"]


@pytest.mark.parametrize(
    ("wish", "retires"),
    [
        ("Remove the field year from books", ["field-book-year"]),
        ("Remove the resource books", ["thing-book", "field-book-title", "field-book-year", "page-book"]),
        ("Remove the command /hello", ["command-hello"]),
        ("Add stars:int to books", ["absent-book-stars"]),
        ("books: title, stars:int", []),
    ],
)
async def test_a_wish_takes_back_exactly_what_it_contradicts(wish: str, retires: list[str]) -> None:
    promised = ["thing-book", "field-book-title", "field-book-year", "page-book", "command-hello", "absent-book-stars"]
    found = await ScriptPlanner().plan(asked(wish, *promised), FOLLOW)
    assert set(retires) <= set(found.retires)
    assert set(found.retires) - set(retires) <= {"absent-book-stars"}


async def test_the_hash_names_criteria_ignored_words_and_what_is_taken_back() -> None:
    first = await plan("books: title")
    assert first.fingerprint() == (await plan("books: title")).fingerprint()
    others = [await plan("books: name"), await plan("Please books: title")]
    others.append(first.model_copy(update={"retires": ["thing-book"]}))
    assert first.fingerprint() not in {one.fingerprint() for one in others}


async def test_a_wish_that_is_too_long_for_its_criteria_is_shown_as_ignored() -> None:
    wish = " ".join(f"слово{number}" for number in range(1_800))
    found = await plan(wish)
    shown = " ".join([*(one.words for one in found.spec.acceptance), *found.ignored])
    assert all(word in shown for word in wish.split())
