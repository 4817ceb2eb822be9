"""What an agent with a model plans and checks is read as from a stranger; what it does not do, the script does."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

import pytest

from activities.adapters.planning.by_agent import by_agent
from activities.adapters.planning.judging_turns import JudgingTurns
from activities.adapters.planning.kept_answers import KeptAnswers
from activities.model_turns import AtLimit
from activities.ports import Follow
from contracts.agent_workers import TurnOutcome
from contracts.criteria import Criterion
from contracts.errors import ErrorCode, OrchestratorError
from contracts.models import ModelLimit, ModelSpending, ModelTurn, OpenModelTurn
from contracts.planning import CheckWriting, Judge, PlanRequest, Promise
from contracts.project_spec import ProjectSpec
from contracts.states import AgentKind
from contracts.steps import TurnRequest, WorkspaceFile, WorkspaceRequest
from tests.unit.activities.planning import FOLLOW, JUDGE

MODEL = Judge(task_id="t1", project_id="p", agent=AgentKind.CLAUDE_CODE)
SPENT = ModelLimit(kind="budget", message="Nothing is left.")
WISH = "Recipes with photos. Never show them to strangers."
CHECK = {
    "id": "c", "criterion_id": "p1", "title": "t", "steps": [{"kind": "http", "path": "/", "expect": {"status": 200}}]
}  # fmt: skip


@dataclass
class Outside:
    """The runtime, the workspaces and the platform at once: each turn leaves the next of `documents`."""

    documents: list[Any] = field(default_factory=list)
    last_status: int | None = 200
    refused: ModelLimit | None = None
    limit: ModelLimit | None = None
    lost: bool = False
    ended: list[str] = field(default_factory=list)
    opened: list[OpenModelTurn] = field(default_factory=list)
    turns: list[TurnRequest] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    async def prepare(self, request: WorkspaceRequest) -> None:
        assert request.repository is None, "a judge sees no code"

    async def write_file(self, request: WorkspaceFile) -> None:
        self.files[request.path] = request.content

    async def remove(self, worker_id: str) -> None:
        self.removed.append(worker_id)

    async def egress_hosts(self, project_id: str) -> list[str]:
        return []

    async def open_model_turn(self, request: OpenModelTurn) -> ModelTurn:
        self.opened.append(request)
        return ModelTurn(token="omt-1", refused=self.refused)

    async def end_model_turn(self, worker_id: str, turn: int) -> ModelSpending:
        self.ended.append(f"{worker_id}/{turn}")
        return ModelSpending(last_status=self.last_status, limit=self.refused or self.limit)

    async def prepare_turn(self, request: TurnRequest) -> object | None:
        return None

    async def run_turn(
        self, request: TurnRequest, follow: Follow, model: ModelTurn | None = None, prepared: object | None = None
    ) -> TurnOutcome:
        self.turns.append(request)
        if self.lost:
            raise OrchestratorError(ErrorCode.AGENT_LOST, "Killed from outside.")
        if model is not None and model.refused is not None:
            return TurnOutcome(status="failed", turn=request.turn, limit=model.refused)
        document = self.documents.pop(0)
        text = document if isinstance(document, str) else json.dumps(document)
        return TurnOutcome(status="done", turn=request.turn, document=text)

    async def stop_turn(self, request: TurnRequest) -> None:
        self.stopped.append(f"{request.worker_id}/{request.turn}")


def judges(outside: Outside, kept: Path | None = None) -> Any:
    return by_agent(turns(outside, kept))


def turns(outside: Outside, kept: Path | None = None) -> JudgingTurns:
    """Without `kept` nothing is remembered from one call to the next."""
    return JudgingTurns(*(cast(Any, outside),) * 3, KeptAnswers(kept or Path(mkdtemp())))


def spec(*criteria: str) -> ProjectSpec:
    acceptance = [Criterion(id=f"p{number}", sentence=one, words=one) for number, one in enumerate(criteria, start=1)]
    return ProjectSpec(name="recipes", description=WISH, acceptance=acceptance)


async def test_the_plan_of_an_agent_is_its_criteria_and_what_it_may_take_back() -> None:
    document = {
        "criteria": [{"sentence": "A recipe  has\n a photo.", "words": "Recipes with photos", "state": "met"}, 7, {}],
        "retires": ["old", "never-promised"],
    }
    outside = Outside([document])
    planner, _ = judges(outside)
    promises = [Promise(check_id="old", sentence="It was."), Promise(check_id="kept", sentence="It is.")]
    plan = await planner.plan(PlanRequest(judge=MODEL, spec=spec(), promises=promises), FOLLOW)
    assert [(one.sentence, one.words, one.state.value) for one in plan.spec.acceptance] == [
        ("A recipe has a photo.", "Recipes with photos", "open")
    ]
    assert plan.retires == ["old"]
    assert [(one.role, one.worker_id) for one in outside.opened] == [("planner", "t1-planner")]
    assert outside.files["WISH.md"] == WISH
    assert outside.removed == ["t1-planner"]


async def test_without_a_usable_answer_the_script_plans() -> None:
    for outside in (Outside(["no json"]), Outside([[]]), Outside([{"criteria": {}}]),
                    Outside([{"criteria": [{"sentence": "x"}]}], last_status=400)):  # fmt: skip
        planner, _ = judges(outside)
        plan = await planner.plan(PlanRequest(judge=MODEL, spec=spec()), FOLLOW)
        assert [one.words for one in plan.spec.acceptance] == ["Recipes with photos", "Never show them to strangers"]


@pytest.mark.parametrize("limited", [{"refused": SPENT}, {"limit": SPENT, "last_status": 429}], ids=["before", "in it"])
async def test_a_limit_of_the_model_is_said_and_nobody_plans_instead(limited: dict[str, Any]) -> None:
    outside = Outside([""], **limited)
    planner, writer = judges(outside)
    with pytest.raises(AtLimit) as planning:
        await planner.plan(PlanRequest(judge=MODEL, spec=spec()), FOLLOW)
    outside.documents = [""]
    with pytest.raises(AtLimit):
        await writer.write(CheckWriting(judge=MODEL, spec=spec("x"), api_description="{}"), FOLLOW)
    assert planning.value.limit == SPENT
    assert outside.removed == [], "the next attempt works in the same folder"


async def test_each_attempt_has_turns_of_its_own_and_the_model_that_was_chosen() -> None:
    outside = Outside([{"criteria": [{"sentence": "x"}]}])
    planner, _ = judges(outside)
    again = MODEL.model_copy(update={"attempt": 2, "model": "claude-haiku-5"})
    await planner.plan(PlanRequest(judge=again, spec=spec()), FOLLOW)
    assert [(one.turn, one.model) for one in outside.opened] == [(2001, "claude-haiku-5")]
    assert [(one.turn, one.request_id) for one in outside.turns] == [(2001, "t1-planner/turn/2001")]
    await planner.stop(again)
    assert outside.stopped == ["t1-planner/2001"]


async def test_a_nearly_spent_budget_stops_no_plan() -> None:
    nearly = SPENT.model_copy(update={"warning": True})
    planner, _ = judges(Outside([{"criteria": [{"sentence": "x"}]}], limit=nearly))
    assert (await planner.plan(PlanRequest(judge=MODEL, spec=spec()), FOLLOW)).spec.acceptance[0].sentence == "x"


async def test_a_turn_that_is_lost_or_stopped_has_no_token_any_more() -> None:
    outside = Outside(lost=True)
    planner, _ = judges(outside)
    with pytest.raises(OrchestratorError, match="Killed from outside"):
        await planner.plan(PlanRequest(judge=MODEL, spec=spec()), FOLLOW)
    await planner.stop(MODEL)
    assert outside.ended == ["t1-planner/1", "t1-planner/1"]


async def test_an_answer_that_was_paid_for_is_kept_whatever_became_of_the_step(tmp_path: Path) -> None:
    """Its worker was killed when the folder was gone, and nothing was recorded yet."""
    outside = Outside([{"criteria": [{"sentence": "A recipe has a photo."}]}])
    request = PlanRequest(judge=MODEL, spec=spec())
    first = await judges(outside, tmp_path)[0].plan(request, FOLLOW)
    again = await judges(outside, tmp_path)[0].plan(request, FOLLOW)
    assert (again, len(outside.turns), len(outside.opened)) == (first, 1, 1)


async def test_what_is_asked_otherwise_is_asked_and_a_refusal_is_not_kept(tmp_path: Path) -> None:
    outside = Outside([{"checks": [CHECK]}, {"checks": [CHECK]}, {"criteria": [{"sentence": "x"}]}])
    _, writer = judges(outside, tmp_path)
    writing = CheckWriting(judge=MODEL, spec=spec("photos"), api_description="{}")
    await writer.write(writing, FOLLOW)
    await writer.write(writing.model_copy(update={"api_description": '{"paths": {}}'}), FOLLOW)
    assert len(outside.turns) == 2
    outside.refused = SPENT
    with pytest.raises(AtLimit):
        await judges(outside, tmp_path)[0].plan(PlanRequest(judge=MODEL, spec=spec()), FOLLOW)
    outside.refused = None
    plan = await judges(outside, tmp_path)[0].plan(PlanRequest(judge=MODEL, spec=spec()), FOLLOW)
    assert [one.sentence for one in plan.spec.acceptance] == ["x"]


async def test_the_script_takes_no_turn() -> None:
    outside = Outside()
    planner, writer = judges(outside)
    await planner.plan(PlanRequest(judge=JUDGE, spec=spec()), FOLLOW)
    await writer.write(CheckWriting(judge=JUDGE, spec=spec("x"), is_first=True), FOLLOW)
    await planner.stop(JUDGE)
    assert (outside.opened, outside.stopped) == ([], [])


async def test_an_agent_writes_checks_from_wish_and_description_and_repairs_what_cannot_be_read() -> None:
    broken = {"checks": [{**CHECK, "criterion_id": "nobody"}]}
    outside = Outside([broken, {"checks": [CHECK], "not_checkable": {"p2": "strangers are not known here"}}])
    _, writer = judges(outside)
    writing = CheckWriting(judge=MODEL, spec=spec("photos", "strangers"))
    assert (await writer.write(writing, FOLLOW)).needs_description
    found = await writer.write(writing.model_copy(update={"api_description": '{"paths": {}}'}), FOLLOW)
    (check,) = found.checks
    assert check.id.endswith("-c"), "named after the task"
    assert check.id != "c"
    assert found.not_checkable == {"p2": "strangers are not known here"}
    assert [turn.turn for turn in outside.turns] == [1, 2]
    assert "UNKNOWN_CRITERION" in outside.turns[1].message
    assert set(outside.files) == {"SPEC.json", "SCHEMA.json", "openapi.json"}
    assert {one.role for one in outside.opened} == {"check-writer"}


async def test_ids_of_checks_are_not_cut_to_one_and_the_same() -> None:
    long = [{**CHECK, "id": f"{'k' * 95}{number}"} for number in range(2)]
    outside = Outside([{"checks": [*long, CHECK]}, {"checks": [*long, CHECK]}])
    _, writer = judges(outside)
    writing = CheckWriting(judge=MODEL, spec=spec("photos"), api_description='{"paths": {}}')
    found = await writer.write(writing, FOLLOW)
    assert [one.id.partition("-")[2] for one in found.checks] == ["c"]
    assert "the id has 96 characters" in outside.turns[1].message


async def test_judges_of_tasks_with_long_ids_are_not_one_and_the_same() -> None:
    first, second = (Judge(task_id=f"{'t' * 95}{number}", project_id="p").worker_id("planner") for number in range(2))
    assert first != second
    assert len(first) <= 100
    assert MODEL.worker_id("planner") == "t1-planner"


async def test_a_stop_stops_every_turn_that_there_may_be() -> None:
    outside = Outside()
    planner, writer = judges(outside)
    await planner.stop(MODEL)
    await writer.stop(MODEL)
    assert outside.stopped == ["t1-planner/1", "t1-check-writer/1", "t1-check-writer/2"]
    assert outside.removed == ["t1-planner", "t1-check-writer"], "what a judge was shown stays nowhere"
