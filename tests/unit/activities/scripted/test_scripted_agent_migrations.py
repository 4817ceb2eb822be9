"""The migrations that the scripted agent writes: one line of descent, the same after a kill."""

import subprocess
from pathlib import Path

import pytest

from activities.adapters.agents.scripted.reading.wish import Entity, Field
from activities.adapters.agents.scripted.writing import migrations, resources
from activities.adapters.agents.scripted.writing.migrations import FOLDER
from activities.adapters.agents.scripted.writing.workspace import Workspace

NOTES = Entity("note", "notes", (Field("title"),))
BOOKS = Entity("book", "books", (Field("title"),))
GROWN = Entity("note", "notes", (Field("title"), Field("stars", "integer")))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    workspace = Workspace(tmp_path)
    workspace.write("README.md", "new")
    workspace.commit(["README.md"], "Scaffold")
    return workspace


def build(workspace: Workspace, *entities: Entity) -> list[str]:
    """Commit what the agent writes; returns the new migrations."""
    made = migrations.files(workspace, entities)
    files = {path: text for one in entities for path, text in resources.files(one).items()} | made
    for path, text in files.items():
        workspace.write(path, text)
    assert migrations.files(workspace, entities) == made, "a turn that was killed here writes the same again"
    workspace.commit(files, "Build")
    return [Path(path).stem for path in made]


def test_each_wish_follows_the_one_before(workspace: Workspace) -> None:
    assert build(workspace, NOTES, BOOKS) == ["0001_note", "0002_book"]
    assert build(workspace, GROWN) == ["0003_note"]
    assert 'down_revision = "0002_book"' in (workspace.read(f"{FOLDER}/0003_note.py") or "")
    assert build(workspace, GROWN, BOOKS) == []


def test_what_was_made_at_the_same_time_is_joined(workspace: Workspace) -> None:
    build(workspace, NOTES)
    other = f"{FOLDER}/0001_book.py"
    workspace.write(other, 'revision = "0001_book"\ndown_revision = None\n')
    workspace.commit([other], "Rebase")
    [(path, text)] = migrations.files(workspace, [NOTES]).items()
    assert path == f"{FOLDER}/0003_merge.py"
    assert 'down_revision = ("0001_book", "0001_note")' in text
    assert "import" not in text
