"""What a project remembers, from a terminal."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.cli.test_over_http import Terminal
from tests.support.api import running_api, served


@pytest_asyncio.fixture(scope="module")
async def terminal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    async with running_api(tmp_path_factory.mktemp("api")) as api, served(api.app) as url:
        yield Terminal(api, url, "").of(api.admin)


async def test_it_is_shown_and_replaced_by_a_file(terminal: Terminal, tmp_path: Path) -> None:
    project_id = await terminal.api.new_project(terminal.api.admin)
    assert "Nothing is remembered yet" in (await terminal.says("project", "memory", "show", project_id)).out
    (tmp_path / "memory.md").write_text("Use UTC.\n")
    stored = await terminal.says("project", "memory", "set", project_id, "--file", str(tmp_path / "memory.md"))
    assert (stored.code, "when the next task begins" in stored.out + stored.err) == (0, True), stored
    assert "Use UTC." in (await terminal.says("project", "memory", "show", project_id)).out
    (tmp_path / "large.md").write_text("x" * 20_001)
    large = await terminal.says("project", "memory", "set", project_id, "--file", str(tmp_path / "large.md"))
    assert (large.code, "at most 20000" in large.err) == (2, True), large


async def test_an_editor_begins_with_what_is_known(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id = await terminal.api.new_project(terminal.api.admin)
    await terminal.says("project", "memory", "set", project_id, "--file", "-", stdin="One.\n")
    editor = tmp_path / "editor.py"
    editor.write_text("import sys, pathlib\nf = pathlib.Path(sys.argv[1])\nf.write_text(f.read_text() + 'Two.\\n')\n")
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    edited = await terminal.says("project", "memory", "edit", project_id)
    assert edited.code == 0, edited
    assert (await terminal.says("project", "memory", "show", project_id, "--json")).json["text"] == "One.\nTwo.\n"
