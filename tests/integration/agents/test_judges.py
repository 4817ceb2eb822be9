"""A real agent plans, writes checks and reviews: in its container, through the real proxy, each of them asked once.

The model is scripted: what a good plan, check or review is, nobody sees here. Seen is that what it writes arrives, and
that no step which runs a second time pays a second time.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from activities.adapters.agents.wrapped import MODEL_PLACE
from activities.adapters.containers.agent import DockerAgentRuntime
from activities.adapters.containers.engine import Bind
from activities.adapters.planning.by_agent import by_agent
from activities.adapters.planning.judging_turns import JudgingTurns
from activities.adapters.planning.kept_answers import KeptAnswers
from activities.adapters.planning.reviewer import AgentReviewer
from contracts.criteria import Criterion
from contracts.planning import CheckWriting, Judge, PlanRequest, ReviewRequest
from contracts.project_spec import ProjectSpec
from contracts.states import AgentKind
from emulators.model.model import Model
from emulators.model.server import serving
from emulators.model.steps import Do, Scenario, Step
from runtime.api_client import ApiClient
from tests.integration.agents.conftest import sockets
from tests.integration.agents.metering import KEYS, proxied
from tests.integration.agents.test_cost_accuracy import TOKENS
from tests.support.api import Api, running_api
from tests.support.services.runtimes import REPOSITORY, Bench, DockerRuntime, git, working
from workers.agents import agents_in_images

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(600)]

WISH = "Recipes with photos. Never show them to strangers."
CHECK = {
    "id": "seen", "criterion_id": "c1", "title": "A photo is shown",
    "steps": [{"kind": "http", "path": "/recipes", "expect": {"status": 200}}],
}  # fmt: skip
LEAK = {"severity": "blocker", "file": "app.py", "line": 2, "text": "It prints the password"}
CLAUDE = AgentKind.CLAUDE_CODE


@dataclass
class Court:
    """Judges of one task, and everything around them. What is made anew stands for a new Temporal worker."""

    bench: Bench
    model: Model
    api: Api
    client: ApiClient
    sockets: Path
    judge: Judge

    def turns(self) -> JudgingTurns:
        runtime = self.bench.runtime
        assert isinstance(runtime, DockerRuntime)
        place = Bind(str(self.sockets), MODEL_PLACE, read_only=True, host_path=True)
        workspaces = runtime.workspaces()
        agents = DockerAgentRuntime(
            runtime.runs(), runtime.images(), agents_in_images(), runtime.artifacts,
            restore=workspaces.restore, model_place=place,
        )  # fmt: skip
        return JudgingTurns(agents, workspaces, self.client, KeptAnswers(self.bench.root / "answers"))

    def says(self, match: str, document: Any) -> None:
        """Whoever is asked with these words writes this document."""
        outcome = json.dumps({"status": "done", "summary": "Said.", "document": document})
        written = f"cat > \"$ORCHESTRATOR_OUTCOME\" <<'END'\n{outcome}\nEND"
        self.model.scenarios.append(Scenario(match=match, steps=(Step(do=Do.RUN, text=written),)))

    async def spent(self, role: str, turn: int = 1) -> dict[str, Any]:
        spending = await self.client.model_spending(self.judge.worker_id(role), turn)
        return spending.model_dump(mode="json")

    @property
    def asked(self) -> int:
        return len(self.model.records.requests)


@pytest_asyncio.fixture
async def court(model: Model, tmp_path: Path) -> AsyncIterator[Court]:
    async with working(tmp_path, "docker") as bench, running_api(tmp_path / "api") as api:
        project = await api.new_project(api.admin)
        task = f"eng-{uuid4().hex[:8]}"
        judge = Judge(task_id=task, project_id=project, user_id=1, agent=CLAUDE, timeout_s=300)
        key, transport = api.platform["Authorization"].split()[1], httpx.ASGITransport(api.app)
        assert isinstance(bench.runtime, DockerRuntime)
        bench.runtime.workers += [judge.worker_id(role) for role in ("planner", "check-writer", "reviewer")]
        with sockets() as folder:
            async with (
                serving(model) as url, proxied(api, url, folder),
                ApiClient(api.settings.api_url, key, transport=transport) as client,
            ):  # fmt: skip
                yield Court(bench, model, api, client, folder, judge)


def spec(*criteria: str) -> ProjectSpec:
    acceptance = [Criterion(id=f"c{number}", sentence=one, words=one) for number, one in enumerate(criteria, start=1)]
    return ProjectSpec(name="recipes", description=WISH, acceptance=acceptance)


async def test_a_real_agent_plans_once(court: Court) -> None:
    court.says(
        "You plan software", {"criteria": [{"sentence": "A recipe has a photo.", "words": "Recipes with photos"}]}
    )
    request = PlanRequest(judge=court.judge, spec=spec())
    plan = await by_agent(court.turns())[0].plan(request, court.bench.follow())
    assert [one.sentence for one in plan.spec.acceptance] == ["A recipe has a photo."]
    await assert_it_is_paid_and_not_asked_again(court, "planner")
    asked = court.asked
    again = await by_agent(court.turns())[0].plan(request, court.bench.follow())
    assert (again, court.asked) == (plan, asked)


async def test_a_real_agent_writes_checks_once_for_each_description(court: Court) -> None:
    court.says("You check software", {"checks": [CHECK]})
    writing = CheckWriting(judge=court.judge, spec=spec("Photos are shown"), api_description='{"paths": {}}')
    written = await by_agent(court.turns())[1].write(writing, court.bench.follow())
    assert [one.criterion_id for one in written.checks] == ["c1"]
    await assert_it_is_paid_and_not_asked_again(court, "check-writer")
    asked = court.asked
    assert await by_agent(court.turns())[1].write(writing, court.bench.follow()) == written
    assert court.asked == asked
    changed = writing.model_copy(update={"api_description": '{"paths": {"/recipes": {}}}'})
    assert (await by_agent(court.turns())[1].write(changed, court.bench.follow())).checks == written.checks
    assert court.asked > asked, "another description is another question"


async def test_a_real_agent_reviews_a_commit_once_with_the_model_of_the_setting(court: Court) -> None:
    court.says("You review a change", {"summary": "A leak.", "findings": [LEAK]})
    judge = court.judge.model_copy(update={"model": "claude-haiku-4-5"})
    request = ReviewRequest(judge=judge, spec=spec(), repository=REPOSITORY, commit=leaking(court.bench))
    reviewer = AgentReviewer(court.turns(), court.bench.forge)
    review = await reviewer.review(request, court.bench.follow())
    assert [str(one) for one in review.blockers] == ["blocker: app.py:2: It prints the password"]
    assert (review.problem, review.summary) == ("", "A leak.")
    await assert_it_is_paid_and_not_asked_again(court, "reviewer")
    assert {one.model for one in court.model.records.requests if one.step == "run"} == {"claude-haiku-4-5"}
    asked = court.asked
    again = await AgentReviewer(court.turns(), court.bench.forge).review(request, court.bench.follow())
    assert (again, court.asked) == (review, asked)
    second = await reviewer.review(request.model_copy(update={"number": 2}), court.bench.follow())
    assert (second, court.asked > asked) == (review, True), "another review is asked for again"


def leaking(bench: Bench) -> str:
    """A commit on top of main, on the branch of a task."""
    bench.commit({"app.py": "pass\n"})
    bare, work = bench.forge.mirror(REPOSITORY).directory, bench.root / "work"
    git(bench.root, "clone", "--quiet", str(bare), str(work))
    (work / "app.py").write_text("password = input()\nprint(password)\n")
    git(work, "commit", "--quiet", "--all", "--message", "Leak")
    git(work, "push", "--quiet", "origin", "HEAD:task/eng-1")
    return git(work, "rev-parse", "HEAD")


async def assert_it_is_paid_and_not_asked_again(court: Court, role: str) -> None:
    """All that was asked belongs to one turn, was paid with the platform's key, and to the token what was billed."""
    spent, billed = await court.spent(role), court.model.records.billed()["total"]
    assert spent["requests"] > 0
    assert {name: spent[name] for name in TOKENS} == {name: billed[name] for name in TOKENS}
    assert {one.key for one in court.model.records.requests} <= set(KEYS.values())
    (row,) = await court.api.rows("SELECT role, agent FROM model_turns WHERE task_id = $1", court.judge.task_id)
    assert (row["role"], row["agent"]) == (role, CLAUDE.value)
