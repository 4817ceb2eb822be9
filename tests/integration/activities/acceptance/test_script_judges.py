"""What the script checks of a wish holds for what the scripted agent builds of it, and bites where it is missing."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.acceptance import complete
from activities.adapters.planning.descriptions import AskedDescriptions
from activities.adapters.planning.script_checks import ScriptCheckWriter
from activities.adapters.planning.script_planner import ScriptPlanner
from contracts.criteria import Criterion
from contracts.planning import CheckWriting, Judge, PlanRequest
from contracts.project_spec import ProjectSpec
from tests.support.services.bookshelf import Files, built_from, changed
from tests.support.services.runtimes import Bench, working
from tests.support.services.wishes import acceptance, asked

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]

JUDGE = Judge(task_id="eng-1", project_id="p1")
BOOKS = "A library with books: title, year:int, price, read:bool, due:date, seen_at, notes"
MEMBERS = "members with name and password"
WISH = f"{BOOKS}. Also {MEMBERS}. Never show the password. Make it beautiful"
PAGES, BOT = "Web pages with lamps: name, watts:int", "A bot that answers /hello with “Hi there”"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return built_from(tmp_path_factory.mktemp("library"), WISH, "backend")


@pytest.fixture(params=["process", "docker"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with working(tmp_path, request.param) as one:
        yield one


async def judged(bench: Bench, files: Files, wish: str, modules: list[str], *, first: bool = True) -> list[Criterion]:
    """The criteria as the checks leave them, written from the wish alone or from what the service says of itself."""
    commit = bench.commit(files)
    spec = ProjectSpec.model_validate({"name": "library", "description": wish, "modules": modules})
    follow = bench.follow()
    plan = complete(spec, await ScriptPlanner().plan(PlanRequest(judge=JUDGE, spec=spec), follow), [])
    description = None
    if not first:
        request = asked(commit, [], criteria=plan.spec.acceptance)
        description = await AskedDescriptions(acceptance(bench), bench.artifacts).describe(request, follow)
        assert "/openapi.json" not in description
        assert '"paths"' in description
    writing = CheckWriting(judge=JUDGE, spec=plan.spec, api_description=description, is_first=first)
    written = await ScriptCheckWriter().write(writing, follow)
    request = asked(commit, written.checks, criteria=plan.spec.acceptance, not_checkable=written.not_checkable)
    return (await acceptance(bench).accept(request, follow)).criteria


def states(criteria: list[Criterion]) -> dict[str, str]:
    return {one.words: one.state.value for one in criteria}


@pytest.mark.parametrize("first", [True, False], ids=["from the wish", "from the description"])
async def test_what_the_agent_builds_is_met_and_what_nobody_understands_is_not_checked(
    bench: Bench, library: Files, first: bool
) -> None:
    found = await judged(bench, library, WISH, ["backend"], first=first)
    assert states(found) == {
        BOOKS: "met", MEMBERS: "met", "Never show the password": "met", "Make it beautiful": "not_checkable"
    }, [one.proof for one in found]  # fmt: skip


async def test_a_field_that_is_forgotten_is_missed(bench: Bench, library: Files) -> None:
    def forget(files: Files) -> None:
        for path in [path for path in files if "book" in path]:
            files[path] = re.sub(r"(?m)^.*\byear\b.*\n", "", files[path])

    found = await judged(bench, changed(library, forget), WISH, ["backend"], first=False)
    assert states(found)[BOOKS] == "not_met"
    assert states(found)[MEMBERS] == "met"


async def test_pages_and_commands_are_met_in_containers_and_not_checked_elsewhere(bench: Bench, tmp_path: Path) -> None:
    wish = f"{PAGES}. {BOT}"
    found = await judged(bench, built_from(tmp_path, wish, "backend,web,tg_bot"), wish, ["backend", "web", "tg_bot"])
    in_containers = type(bench.runtime).__name__ == "DockerRuntime"
    expected = "met" if in_containers else "not_checkable"
    assert set(states(found).values()) == {expected}, [one.proof for one in found]
