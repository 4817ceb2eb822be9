"""The import rules of the layout are checked, and a planted violation of each is seen."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "contracts",
    "workflows",
    "activities",
    "runtime",
    "workers",
    "api",
    "bot",
    "cli",
    "emulators",
    "benchmarks",
)
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_logo=True, cache_dir=None))"


@pytest.fixture
def copy_of_the_source(tmp_path: Path) -> Path:
    """The packages with their rules, and nothing else, in a place where they may be broken."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=lambda _, names: [n for n in names if not _is_source(n)]
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _is_source(name: str) -> bool:
    return name.endswith(".py") or ("." not in name and name != "__pycache__")


def _lint(directory: Path) -> tuple[int, str]:
    run = subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr


def test_only_the_creation_of_a_project_names_a_repository() -> None:
    files = {path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    naming = {str(file) for file in files if "repository_names(" in (ROOT / file).read_text()}
    assert naming == {"contracts/ids.py", "api/projects/queries.py"}


def test_the_source_keeps_the_rules(copy_of_the_source: Path) -> None:
    status, output = _lint(copy_of_the_source)
    assert status == 0, output


VIOLATIONS = [
    ("contracts/planted.py", "import runtime", "contracts import no other package of ours"),
    (
        "activities/adapters/agents/scripted/reading/planted.py",
        "from ..writing import plan",
        "packages of the scripted agent import downwards only",
    ),
    ("workflows/planted.py", "import activities.adapters", "workflows know contracts and activity classes only"),
    ("workflows/planted.py", "import runtime", "workflows know contracts and activity classes only"),
    ("workflows/planted.py", "import httpx", "workflow code imports no SDK of the outside world"),
    ("activities/repository.py", "import workflows", "activities know contracts and ports only"),
    ("activities/repository.py", "import runtime", "only adapters know the runtime"),
    ("activities/planted.py", "import activities.adapters", "only workers know adapters"),
    ("activities/adapters/planted.py", "import workflows", "activities know contracts and ports only"),
    ("activities/adapters/planted.py", "import activities.repository", "adapters know no activity area"),
    (
        "activities/adapters/runs/planted.py",
        "import activities.adapters.forge.git",
        "arrows between the packages of adapters run down",
    ),
    (
        "activities/adapters/process/planted.py",
        "import activities.adapters.containers.engine",
        "arrows between the packages of adapters run down",
    ),
    ("activities/adapters/planted.py", "", "arrows between the packages of adapters run down"),
    (
        "activities/adapters/forge/scaffold.py",
        "import activities.adapters.forge.paths",
        "one module knows where repositories are",
    ),
    (
        "activities/adapters/process/workspaces.py",
        "from activities.adapters.forge.paths import ForgePaths",
        "one module knows where repositories are",
    ),
    (
        "activities/adapters/verification/steps.py",
        "import activities.adapters.forge.local",
        "consumers of a forge take a mirror",
    ),
    ("activities/adapters/runs/states.py", "import activities.adapters.runs.follower", "no package has a circle"),
    ("contracts/base.py", "import contracts.nouns", "no package has a circle"),
    ("runtime/planted.py", "import activities.ports", "runtime knows contracts only"),
    ("workers/planted.py", "import api", "workers compose everything but api, bot and cli"),
    ("api/planted.py", "import workflows", "the api knows contracts and runtime"),
    ("api/planted.py", "import cli", "api, bot, cli and workers are independent"),
    ("api/questions/queries.py", "import api.secrets.queries", "the packages of the api have an order"),
    ("api/projects/queries.py", "import api.tasks.queries", "the packages of the api have an order"),
    ("api/planted.py", "", "the packages of the api have an order"),
    ("api/tasks/routes.py", "import sqlalchemy", "routes of the api hold no SQL"),
    ("api/users/routes.py", "import sqlmodel", "routes of the api hold no SQL"),
    ("api/chat/routes.py", "import api.tables", "routes of the api hold no SQL"),
    ("cli/planted.py", "import activities.ports", "the cli knows contracts and runtime"),
    ("bot/planted.py", "import activities.ports", "the bot knows contracts and runtime"),
    ("bot/rendering/planted.py", "import bot.sending.sender", "packages of the bot import downwards only"),
    ("bot/planted.py", "import emulators.telegram", "nothing of the product imports an emulator"),
    ("emulators/telegram/planted.py", "import contracts", "the emulators import no other package of ours"),
    ("cli/commands/task.py", "import temporalio", "only what is about this host knows Temporal"),
    ("cli/client/session.py", "import runtime.temporal.gateway", "only what is about this host knows Temporal"),
    ("cli/client/session.py", "import cli.host.parts", "the packages of the cli have an order"),
    ("cli/planted.py", "", "the packages of the cli have an order"),
    ("cli/commands/task.py", "import cli.commands.project", "commands know no other command"),
    ("cli/host/parts.py", "import cli.host.health", "the host's commands use its parts"),
    ("cli/client/watching.py", "import cli.client.starting", "what commands share over HTTP"),
    ("cli/demo/chat_line.py", "import cli.demo.chat", "the demo and its chat"),
    ("cli/terminal/output.py", "import cli.terminal.tables", "what is typed and shown"),
    ("runtime/planted.py", "import sqlalchemy", "the ORM lives in the api"),
    ("workers/planted.py", "import benchmarks", "nothing of the product knows the benchmarks"),
]
"""Where, what, and the rule that it breaks."""


def _rounds() -> list[list[tuple[str, str, str]]]:
    """The violations in as few rounds as have each rule and each file once."""
    rounds: list[list[tuple[str, str, str]]] = []
    for one in VIOLATIONS:
        free = [these for these in rounds if all(one[0] != place and one[2] != rule for place, _, rule in these)]
        if free:
            free[0].append(one)
        else:
            rounds.append([one])
    return rounds


def _plant(directory: Path, place: str, forbidden: str) -> None:
    target = directory / place
    target.write_text((target.read_text() if target.exists() else "") + f"\n{forbidden}\n")


def _broken(output: str, rule: str) -> bool:
    return any(rule in line and "BROKEN" in line for line in output.splitlines())


@pytest.mark.parametrize("violations", _rounds(), ids=lambda these: f"{len(these)} at once")
def test_planted_violations_are_seen(violations: list[tuple[str, str, str]], copy_of_the_source: Path) -> None:
    for place, forbidden, _ in violations:
        _plant(copy_of_the_source, place, forbidden)
    status, output = _lint(copy_of_the_source)
    assert status != 0
    assert [rule for _, _, rule in violations if not _broken(output, rule)] == [], output


@pytest.mark.deep
@pytest.mark.parametrize(("place", "forbidden", "rule"), VIOLATIONS)
def test_a_planted_violation_is_seen(place: str, forbidden: str, rule: str, copy_of_the_source: Path) -> None:
    _plant(copy_of_the_source, place, forbidden)
    status, output = _lint(copy_of_the_source)
    assert status != 0
    assert _broken(output, rule), output
