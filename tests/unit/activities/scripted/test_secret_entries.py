"""What the scripted agent writes into env.contract.yaml."""

from pathlib import Path

import pytest
import yaml

from activities.adapters.agents.scripted.writing.secret_status import CONTRACT, contract
from activities.adapters.agents.scripted.writing.workspace import Workspace, WorkspaceError

NAMES = ["NO", "NULL", "TRUE", "ON", "Y", "_1", "API_KEY"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "services" / "backend").mkdir(parents=True)
    return Workspace(tmp_path)


def test_a_name_that_yaml_reads_as_something_else_is_quoted(workspace: Workspace) -> None:
    written = contract(workspace, NAMES)[CONTRACT]
    assert [entry["name"] for entry in yaml.safe_load(written)["entries"]] == NAMES


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_an_entry_that_is_there_is_not_added_again_however_it_is_quoted(workspace: Workspace, quote: str) -> None:
    entry = f"entries:\n  - name: {quote}API_KEY{quote}\n    source: user_secret\n"
    (workspace.root / CONTRACT).write_text(entry)
    assert contract(workspace, ["API_KEY"]) == {}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1251"])
def test_a_file_in_another_encoding_is_refused_by_name(workspace: Workspace, encoding: str) -> None:
    (workspace.root / CONTRACT).write_bytes("# имя\n".encode(encoding))
    with pytest.raises(WorkspaceError, match=f"{CONTRACT} is not a text file in UTF-8"):
        contract(workspace, ["API_KEY"])


def test_a_mark_of_utf_8_is_no_part_of_a_file(workspace: Workspace) -> None:
    (workspace.root / CONTRACT).write_text("entries:\n", encoding="utf-8-sig")
    assert contract(workspace, ["API_KEY"])[CONTRACT].startswith("entries:")
