"""The first line of a commit says what has changed, also in a turn that was killed before it could commit."""

import subprocess
import sys
from pathlib import Path

import pytest

from activities.adapters.agents.scripted.reading.wish import Command, Entity, Field
from activities.adapters.agents.scripted.session.sessions import Session
from activities.adapters.agents.scripted.session.stream import Stream
from activities.adapters.agents.scripted.session.turn import Outcome, Turn
from activities.adapters.agents.scripted.writing import commands, resources
from activities.adapters.agents.scripted.writing.workspace import Workspace

BOOKS = Entity("book", "books", (Field("title"), Field("year", "integer"), Field("read", "boolean", False)))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A project with books and the command /hello."""
    root = tmp_path / "project"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    made = Workspace(root)
    files = {**resources.files(BOOKS), **commands.files(made, [Command("hello", "Hi")]), **TEMPLATE}
    for path, text in files.items():
        made.write(path, text)
    made.commit(files, "Books")
    return made


HELP = """async def test_help(conversation):
    [text] = await conversation.send("/help")
    for module in handlers.modules():
        if hasattr(module, "COMMAND"):
            assert f"/{module.COMMAND} - " in text
"""
TEMPLATE = {commands.TEMPLATE_TEST: HELP, "env.contract.yaml": 'version: "1"\nentries:\n'}


def prepared(workspace: Workspace, task: str) -> Turn:
    return Turn(task, workspace, Session("a-session"), Stream("a-session", str(workspace.root), "text", sys.stderr))


def git(workspace: Workspace, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=workspace.root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def subject(workspace: Workspace, task: str) -> str:
    outcome: Outcome = prepared(workspace, task).run()
    assert outcome.status == "done", outcome
    return git(workspace, "log", "-1", "--format=%s")


CHANGES = [
    ("Add rating:int to books", "Add rating to books"),
    ("Add the fields rating:int and isbn to books", "Add rating, isbn to books"),
    ("Добавь в книги поле рейтинг:int", "Add rating to books"),
    ("Books: title, stars:int", "Add stars to books"),
    ("Remove year from books and add isbn to books", "Add isbn to books; remove year from books"),
    ("Remove the field year from books", "Remove year from books"),
    ("Remove the books", "Remove books"),
    ("Remove the command /hello", "Remove /hello"),
    ("Films: title", "Add films"),
    ("Films: title. Add rating:int to books", "Add films; add rating to books"),
    ("a bot with a command /bye that answers Bye", "Add /bye"),
    ("a bot with a command /hello that answers Hello", "Change the answer of /hello"),
    ("a bot with a command /help that answers Ask", "Add /help"),
    ("Films: title. The command /hello answers “Hi”", "Add films"),
    ("Films: title [agent:needs-secret=API_KEY]", "Add films; ask for the secret API_KEY"),
]


@pytest.mark.parametrize(("task", "said"), CHANGES)
def test_a_commit_says_what_has_changed_and_nothing_else(workspace: Workspace, task: str, said: str) -> None:
    assert subject(workspace, task) == said


@pytest.mark.parametrize(("task", "said"), CHANGES)
def test_a_turn_that_was_killed_before_its_commit_commits_the_same_with_the_same_words(
    workspace: Workspace, task: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Workspace, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            prepared(workspace, task).run()
    assert subject(workspace, task) == said
    assert git(workspace, "status", "--porcelain") == ""


def test_a_field_that_was_removed_and_comes_back_is_added(workspace: Workspace) -> None:
    subject(workspace, "Remove the field year from books")
    assert subject(workspace, "Add year:int to books") == "Add year to books"


def test_a_long_list_is_cut_to_one_line(workspace: Workspace) -> None:
    said = subject(workspace, "Books: " + ", ".join(f"field{number}" for number in range(20)))
    assert said.startswith("Add field0, field1")
    assert (said[-1], len(said)) == ("…", 72)
