"""What one task has promised is checked at the next one, with the API's own record of it: a change that breaks it is
refused by the sentence of then."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from activities.acceptance import AcceptanceNodes, after_acceptance
from activities.adapters.planning.descriptions import AskedDescriptions
from activities.adapters.planning.script_checks import ScriptCheckWriter
from activities.adapters.planning.script_planner import ScriptPlanner
from activities.engineering import EngineeringState
from contracts.planning import KeepChecks, PlanRequest
from contracts.project_spec import ProjectSpec
from runtime.api_client import ApiClient
from tests.integration.activities.acceptance.test_script_judges import BOOKS, JUDGE, MEMBERS
from tests.support.api import Api, running_api
from tests.support.services.bookshelf import Files, built_from, changed
from tests.support.services.runtimes import REPOSITORY, Bench, working
from tests.support.services.wishes import acceptance, asked

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]


class Department:
    """The nodes that accept, over the API's own record of checks: what a task does without its workflow."""

    def __init__(self, bench: Bench, api: Api, client: ApiClient, project: str) -> None:
        self.bench, self.api, self.client, self.project = bench, api, client, project
        place = acceptance(bench)
        descriptions = AskedDescriptions(place, bench.artifacts)
        self.nodes = AcceptanceNodes(
            ScriptPlanner(), ScriptCheckWriter(), place, descriptions, cast(Any, client), bench.runtime.forge
        )

    async def accepted(self, wish: str, files: Files) -> EngineeringState:
        """What the graph knows after a task with this wish whose commit has these files; kept if it passes."""
        task, commit = await self.api.new_task(self.project), self.bench.commit(files)
        spec = ProjectSpec.model_validate({"name": "library", "description": wish, "modules": ["backend"]})
        plan = await ScriptPlanner().plan(PlanRequest(judge=JUDGE, spec=spec), self.bench.follow())
        state = cast(EngineeringState, {
            "task_id": task, "project_id": self.project, "repository": REPOSITORY, "commit": commit,
            "verified_base": commit, "turn_timeout_s": 60, "spec": plan.spec.model_dump(mode="json"),
        })  # fmt: skip
        request = asked(commit, [], criteria=plan.spec.acceptance, task_id=task, project_id=self.project)
        found = after_acceptance(state, *await self.nodes._accepted(state, request, self.bench.follow()))
        if found["accepted"]:
            met = [one["id"] for one in found["judged"] if one["state"] == "met"]
            await self.client.keep_checks(self.project, task, KeepChecks(met=met))
        return found


@pytest.fixture(params=["process", "docker"])
async def department(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Department]:
    async with working(tmp_path, request.param) as bench, running_api(tmp_path / "api") as api:
        project, key = await api.new_project(api.admin), api.platform["Authorization"].split()[1]
        async with ApiClient(api.settings.api_url, key, transport=httpx.ASGITransport(api.app)) as client:
            yield Department(bench, api, client, project)


def forget_the_year(files: Files) -> None:
    for path in [path for path in files if "book" in path]:
        files[path] = re.sub(r"(?m)^.*\byear\b.*\n", "", files[path])


async def test_a_later_change_that_breaks_a_promise_is_refused_by_name(department: Department, tmp_path: Path) -> None:
    library = built_from(tmp_path, f"{BOOKS}. Also {MEMBERS}", "backend")
    first = await department.accepted(BOOKS, library)
    assert first["accepted"], first["evidence"]
    later = await department.accepted(f"Also {MEMBERS}", changed(library, forget_the_year))
    assert not later["accepted"]
    assert {one["sentence"]: one["state"] for one in later["judged"]}[later["unmet"][0]] == "not_met"
    assert [one for one in later["unmet"] if one.startswith("Promised earlier: ")] == later["unmet"]
    assert "field-book-year" in later["broken"]
    assert "year" in later["evidence"]
    right = await department.accepted(f"Also {MEMBERS}", library)
    assert right["accepted"], right["evidence"]
