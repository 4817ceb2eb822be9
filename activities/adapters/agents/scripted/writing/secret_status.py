"""Secrets that a person has to give: their entry in the contract, and a route that tells only whether they are set."""

import re
from collections.abc import Sequence

from .workspace import Workspace

CONTRACT = "env.contract.yaml"
ROUTE_PATH = "services/backend/routes/secret_status.py"
TEST_PATH = "tests/backend/test_secret_status.py"

ENTRY = """  - name: "{name}"
    source: user_secret
    consumers: [{consumers}]
    required: true
    description: "Secret that the wish asked for"
"""

ROUTE = '''"""GET /secret-status: which secrets are set. None is shown; the hash of the first tells a change."""

import hashlib
import os

from fastapi import APIRouter

NAMES = [
{names}
]

router = APIRouter(tags=["secrets"])


@router.get("/secret-status")
def secret_status() -> dict[str, bool | str]:
    values = {{name: os.environ.get(name, "") for name in NAMES}}
    first = values[NAMES[0]]
    return {{
        **{{name: bool(value) for name, value in values.items()}},
        "sha256": hashlib.sha256(first.encode()).hexdigest()[:12] if first else "",
    }}
'''

TEST = """import pytest
from fastapi.testclient import TestClient

from services.backend.routes.secret_status import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_is_reported_and_never_shown(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name, raising=False)
    assert client.get("/secret-status").json()[name] is False
    monkeypatch.setenv(name, "a value that nobody may see")
    answer = client.get("/secret-status")
    assert answer.json()[name] is True
    assert "nobody" not in answer.text
"""


def contract(workspace: Workspace, names: Sequence[str]) -> dict[str, str]:
    """The contract with an entry for each name that it does not have yet."""
    before = workspace.read(CONTRACT) or 'version: "1"\nentries:\n'
    consumers = ", ".join(f'"{module}"' for module in workspace.modules)
    entries = [ENTRY.format(name=name, consumers=consumers) for name in missing(before, names)]
    return {CONTRACT: before.rstrip("\n") + "\n" + "".join(entries)} if entries else {}


def missing(contract: str, names: Sequence[str]) -> list[str]:
    """The names, once each, for which a contract has no entry."""
    present = set(re.findall(r"^\s*- name: [\"']?(\w+)[\"']?\s*$", contract, re.MULTILINE))
    return [name for name in dict.fromkeys(names) if name not in present]


def route(workspace: Workspace, names: Sequence[str]) -> dict[str, str]:
    """The route and its test; empty for a project without a backend."""
    if not names or "backend" not in workspace.modules:
        return {}
    before = re.findall(r'^    "([A-Z0-9_]+)",$', workspace.read(ROUTE_PATH) or "", re.MULTILINE)
    known = [*before, *(name for name in names if name not in before)]
    lines = "\n".join(f'    "{name}",' for name in known)
    return {ROUTE_PATH: ROUTE.format(names=lines), TEST_PATH: TEST}
