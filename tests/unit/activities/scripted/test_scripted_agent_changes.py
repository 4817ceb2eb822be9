"""Changes of a project that exists, answers that complete a wish, and what becomes of every clause meanwhile."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from activities.adapters.agents.scripted.reading.replies import AnswerDoubt
from activities.adapters.agents.scripted.reading.sentences import understand
from activities.adapters.agents.scripted.reading.specification import wish_of
from activities.adapters.agents.scripted.reading.wish import Command, Entity, Field, Task, WishError
from activities.adapters.agents.scripted.session.turn import MOST_CRITERIA, MOST_WORDS
from activities.adapters.agents.scripted.writing import commands, resources
from activities.adapters.agents.scripted.writing.plan import Plan, plan_of
from activities.adapters.agents.scripted.writing.workspace import Workspace
from tests.support.patience import patience
from tests.support.services.generated_project import AGENT

BOOKS = Entity("book", "books", (Field("title"), Field("year", "integer"), Field("read", "boolean", False)))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A project with books and the command /hello."""
    root = tmp_path / "project"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    made = Workspace(root)
    files = {**resources.files(BOOKS), **commands.files(made, [Command("hello", "Hi")])}
    for path, text in files.items():
        made.write(path, text)
    made.commit(files, "Books")
    return made


def planned(workspace: Workspace, sentence: str) -> Plan:
    return plan_of(understand(sentence), workspace)


@pytest.mark.parametrize(
    ("sentence", "added"),
    [
        ("Add stars:int to books", [("stars", "integer")]),
        ("Please add the fields publisher and due:date to the books.", [("publisher", "string"), ("due", "date")]),
        ("Добавь поле рейтинг к книгам", [("rating", "string")]),
        ("Добавь в книги поле рейтинг:int", [("rating", "integer")]),
        ("Add to books the fields stars:int and isbn", [("stars", "integer"), ("isbn", "string")]),
        ("Books: title, stars:int", [("stars", "integer")]),
    ],
)
def test_a_new_field_is_optional_for_old_clients(
    workspace: Workspace, sentence: str, added: list[tuple[str, str]]
) -> None:
    plan = planned(workspace, sentence)
    [books] = plan.entities
    assert books.fields[:3] == BOOKS.fields
    assert [(one.name, one.type, one.required) for one in books.fields[3:]] == [(*one, False) for one in added]
    assert plan.not_built == []


@pytest.mark.parametrize(
    "sentence", ["Remove the field year from books", "Удали поле год из книг", "Drop year from books."]
)
def test_a_removed_field_stays_in_the_table(workspace: Workspace, sentence: str) -> None:
    plan = planned(workspace, sentence)
    [books] = plan.entities
    assert [one.name for one in books.fields] == ["title", "read"]
    assert [one.name for one in books.retired] == ["year"]
    model = resources.files(books)[resources.model_path(books)]
    assert [one.name for one in resources.existing_fields(model)] == ["title", "read"]
    assert [one.name for one in resources.retired_fields(model)] == ["year"]
    assert plan.not_built == []


def test_one_sentence_may_ask_for_several_changes_in_any_order(workspace: Workspace) -> None:
    plan = planned(workspace, "Remove year from books, add the field isbn to books and remove the command /hello.")
    [books] = plan.entities
    assert [one.name for one in books.fields] == ["title", "read", "isbn"]
    assert plan.removed == [*commands.paths("hello")]
    assert len(plan.criteria) == 3
    assert plan.not_built == []


def test_a_removed_thing_loses_its_routes_and_keeps_its_data(workspace: Workspace) -> None:
    plan = planned(workspace, "Remove the books")
    assert plan.removed == ["services/backend/routes/books.py", "tests/backend/test_books.py"]
    assert plan.entities == []
    for path in plan.removed:
        workspace.remove(path)
    workspace.commit(plan.removed, "Remove books")
    again = planned(workspace, "Remove the books")
    assert (again.removed, again.not_built, again.empty) == ([], [], False), "the turn may run twice"


@pytest.mark.parametrize(
    "sentence",
    [
        "Add stars:int to planets",
        "Remove the field isbn from books",
        "Remove the fields title, year and read from books",
        "Remove the command /bye",
        "Remove the planets",
        "Delete old books every night",
        "Sort the books by year",
        "Don't remove the books",
        "Remove the reminder about books",
        "Delete all books",
        "Удали все книги",
        "Удали старые книги",
        "Добавь рейтинг:int к старым книгам",
        "Remove the books except the red ones",
        "Delete books older than ten years",
        "Remove the list of books on the first page",
    ],
)
def test_what_cannot_be_changed_is_not_built_and_says_why(workspace: Workspace, sentence: str) -> None:
    plan = planned(workspace, sentence)
    assert plan.empty
    assert [one.words.rstrip(".") for one in plan.not_built] == [sentence]
    assert all(one.sentence for one in plan.not_built)


@pytest.mark.parametrize(
    "sentence", ["Add stars:int to planets and show the books", "Remove the planets and show the books"]
)
def test_a_thing_that_is_named_in_another_clause_is_left_alone(workspace: Workspace, sentence: str) -> None:
    plan = planned(workspace, sentence)
    assert (plan.entities, plan.removed) == ([], [])
    assert [one.words for one in plan.not_built] == ["show the books", sentence.removesuffix(" and show the books")]


def test_a_field_that_exists_with_another_type_is_asked_about(workspace: Workspace) -> None:
    with pytest.raises(WishError, match="year: date"):
        planned(workspace, "Add year:date to books")


def test_a_command_without_its_module_is_not_built_and_the_rest_is(workspace: Workspace) -> None:
    for path in commands.paths("hello"):
        workspace.remove(path)
    (workspace.root / "services" / "tg_bot" / "handlers").rmdir()
    (workspace.root / "services" / "tg_bot").rmdir()
    plan = planned(workspace, "Films: title. The command /start answers Hello")
    assert ([one.path for one in plan.entities], plan.commands) == (["films"], [])
    assert [one.sentence for one in plan.not_built] == ["It needs the module tg_bot."]


@pytest.mark.parametrize(
    ("task", "unclear", "answer", "fields"),
    [
        ("flower shop. Sell by card", "flower shop:", "name, price:float", ["name", "price"]),
        ("Notes: title, class. Sort them", "class", "category", ["title", "category"]),
        ("Notes: title, price:gold. Sort them", "price:gold", "price:float", ["title", "price"]),
        ("Notes: title, price:gold. Sort them", "price:gold", "Notes: stars:int", ["stars", "title"]),
    ],
)
def test_a_short_answer_completes_the_wish_and_does_not_replace_it(
    task: str, unclear: str, answer: str, fields: list[str]
) -> None:
    wish = wish_of(Task(task, {}), [answer], {answer: unclear})
    [thing] = wish.entities
    assert [one.name for one in thing.fields] == fields
    assert len(wish.not_built) == 1, "the other clause has not vanished"


def test_no_word_of_many_or_long_clauses_is_cut_off(workspace: Workspace) -> None:
    many = [f"Let the visitor number {number} look at the {number}th book in the big hall" for number in range(90)]
    long = "Sort them by " + " ".join(f"criterion{number}" for number in range(90))
    outcome = turn(workspace, "Books: title, isbn. " + ". ".join([*many, long]))
    criteria = outcome["criteria"]
    assert len(criteria) <= MOST_CRITERIA
    assert all(len(one["words"]) <= MOST_WORDS for one in criteria)
    left_out = " ".join(one["words"] for one in criteria if one["state"] == "not_met")
    assert all(words in left_out for words in many)
    assert all(word in left_out.split() for word in long.split())


WEATHER = "answers /start with Welcome and sends the weather"


@pytest.mark.parametrize(
    ("answer", "reply", "left"),
    [
        ("/start answers “Welcome and sends the weather”", "Welcome and sends the weather", []),
        ("/start answers “Welcome”; sends the weather", "Welcome", ["sends the weather"]),
        ("yes", "Welcome and sends the weather", []),
        ("Welcome", "Welcome", ["sends the weather"]),
        ("Hello", "Hello", []),
    ],
)
def test_where_the_answer_of_a_command_ends_is_asked_and_no_other_clause_is_lost(
    answer: str, reply: str, left: list[str]
) -> None:
    task = Task(f"A bot that {WEATHER}. Never write at night", {})
    with pytest.raises(AnswerDoubt, match=WEATHER):
        wish_of(task, [])
    wish = wish_of(task, [answer], {answer: WEATHER})
    assert [(one.name, one.reply) for one in wish.commands] == [("start", reply)]
    assert [one.words for one in wish.not_built] == [*left, "Never write at night"]


def test_a_second_name_that_cannot_be_built_is_asked_about_in_its_turn() -> None:
    task = Task("Notes: title, class. Books: yield, year. Sort them", {})
    answers = ["Notes: title, category"]
    with pytest.raises(WishError, match="yield"):
        wish_of(task, answers, {answers[0]: "class"})
    answers.append("pages")
    wish = wish_of(task, answers, {answers[0]: "class", answers[1]: "yield"})
    assert {one.path: [field.name for field in one.fields] for one in wish.entities} == {
        "notes": ["title", "category"], "books": ["pages", "year"],
    }  # fmt: skip
    assert [one.words for one in wish.not_built] == ["Sort them"]


def test_the_clauses_of_a_task_stay_when_an_answer_forgives_a_name() -> None:
    wish = wish_of(Task("Notes: title, class. Books: pages. Sort them", {}), ["Notes: title"])
    assert [one.path for one in wish.entities] == ["notes", "books"]
    assert [one.words for one in wish.not_built] == ["Notes: title, class", "Sort them"]


def test_the_clauses_of_a_turn_are_in_its_outcome_and_the_question_names_what_is_unclear(workspace: Workspace) -> None:
    outcome = turn(workspace, "Books: title, isbn. Sort by year. Don't sell them")
    assert [(one["state"], one["words"]) for one in outcome["criteria"]] == [
        ("open", "Books: title, isbn"), ("not_met", "Sort by year"), ("not_met", "Don't sell them"),
    ]  # fmt: skip
    assert "I am a script, not a model" in str(outcome["summary"])
    assert "Not built: “Sort by year”; “Don't sell them”" in str(outcome["summary"])
    asked = turn(workspace, "A bot that answers /start with Hi and counts people")
    assert asked["choices"] == ["/start answers “Hi and counts people”", "/start answers “Hi”; and counts people"]
    asked = turn(workspace, "make something for my flower shop")
    assert (asked["status"], "“make something for my flower shop”" in str(asked["question"])) == ("question", True)


def turn(workspace: Workspace, task: str) -> dict[str, Any]:
    home = workspace.root.parent
    (workspace.root / "TASK.md").write_text(f"# Task\n\n{task}\n")
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "ORCHESTRATOR_OUTCOME": str(home / "outcome.json")}
    command = [sys.executable, "-I", "-S", str(AGENT), "-p", "go"]
    done = subprocess.run(command, cwd=workspace.root, env=env, capture_output=True, timeout=patience(60), check=False)
    assert b"Traceback" not in done.stderr
    found: dict[str, Any] = json.loads((home / "outcome.json").read_text())
    return found
