"""Another agent reads the change: what it finds is shown, or comes back once and then goes to a person."""

from typing import Any

import pytest

from contracts.agent_workers import TurnOutcome
from contracts.departments import EngineeringMessage, EngineeringResult
from contracts.models import ModelName
from contracts.states import AgentKind, TaskState
from tests.support.patience import within
from tests.support.workflows.workflow_world import World

CODEX = AgentKind.CODEX
MODEL: ModelName = "m-2"


def asking(world: World, **changes: object) -> EngineeringMessage:
    return world.engineering(**{"review": "binding", "reviewer": CODEX, "review_model": MODEL} | changes)


async def started(world: World, message: EngineeringMessage) -> str:
    return (await world.gateway.start_engineering(message)).workflow_id


async def ended(world: World, workflow_id: str) -> EngineeringResult:
    return EngineeringResult.model_validate(await world.handle(workflow_id).result())


async def done(world: World, message: EngineeringMessage) -> EngineeringResult:
    return await ended(world, await started(world, message))


async def asked_by(world: World, message: EngineeringMessage) -> tuple[str, Any]:
    name = await world.question(message.task_id)
    (question,) = [one.question for one in world.platform.projections if one.question and one.question.id == name]
    return name, question


async def test_a_change_is_read_by_the_agent_and_model_of_the_settings_before_it_is_published(world: World) -> None:
    world.reviewer.remarks = ["The name is odd"]
    result = await done(world, message := asking(world))
    (asked,) = world.reviewer.asked
    assert (asked.judge.agent, asked.judge.model, asked.commit) == (CODEX, MODEL, result.commit_sha)
    assert result.review is not None
    assert [one.text for one in result.review.findings] == ["The name is odd"]
    assert len(world.runtime.turns) == 1, "a remark holds up nothing"
    stages = list(dict.fromkeys(one.stage for one in world.platform.of(message.task_id)))
    assert stages.index("testing") < stages.index("reviewing") < stages.index("publishing")
    last = world.platform.of(message.task_id)[-1]
    assert "remark: The name is odd" in str(last.result["review"])
    assert "The name is odd" in world.forge.published[-1].summary


async def test_without_the_setting_nobody_reads_and_who_retries_may_leave_it_out(world: World) -> None:
    plain = await done(world, world.engineering())
    skipped = await done(world, asking(world, skip=["review"]))
    assert (world.reviewer.asked, plain.review, skipped.review) == ([], None, None)


async def test_advice_is_shown_and_holds_up_nothing(world: World) -> None:
    world.reviewer.objections = [["It logs the password"]]
    result = await done(world, asking(world, review="advisory"))
    assert len(world.runtime.turns) == 1
    assert result.review is not None
    assert [one.text for one in result.review.blockers] == ["It logs the password"]


async def test_an_objection_goes_back_once_and_the_new_change_is_read_again(world: World) -> None:
    world.reviewer.objections = [["It logs the password"]]
    result = await done(world, asking(world))
    assert "app.py:3: It logs the password" in world.runtime.turns[1].message
    assert [one.number for one in world.reviewer.asked] == [1, 2]
    assert result.review is not None
    assert result.review.findings == []
    assert world.reviewer.asked[1].commit == result.commit_sha


async def test_a_second_objection_asks_a_person_who_may_take_it_as_it_is_and_the_wish_is_still_checked(
    world: World,
) -> None:
    world.reviewer.objections = [["It logs the password"], ["It still does"]]
    world.planner.clauses = ["A notes service: title, text"]
    message = asking(world, acceptance="binding", max_rounds=9)
    workflow_id = await started(world, message)
    name, question = await asked_by(world, message)
    assert "It still does" in question.text
    assert (question.choices, question.wording.name) == (["retry", "accept", "stop"], "objections")
    assert not world.acceptance.accepted
    await world.answer(workflow_id, name, "accept")
    result = await ended(world, workflow_id)
    assert [one.state.value for one in result.criteria] == ["met"]
    assert len(world.reviewer.asked) == 2


async def test_an_agent_that_stays_with_its_change_brings_the_objection_to_a_person_and_not_back(world: World) -> None:
    world.reviewer.objections = [["It logs the password"]]
    world.runtime.scripts = [TurnOutcome(status="done", turn=1), TurnOutcome(status="done", turn=2, summary="idle")]
    message = asking(world)
    workflow_id = await started(world, message)
    name, question = await asked_by(world, message)
    assert "It logs the password" in question.text
    await world.answer(workflow_id, name, "accept")
    result = await ended(world, workflow_id)
    assert (len(world.reviewer.asked), len(world.runtime.turns)) == (1, 2)
    assert result.commit_sha == world.reviewer.asked[0].commit


@pytest.mark.parametrize("mode", ["advisory", "binding"])
async def test_a_review_that_cannot_be_had_is_said_and_binding_asks(world: World, mode: str) -> None:
    world.reviewer.problems = ["the model may not be used now"]
    message = asking(world, review=mode)
    workflow_id = await started(world, message)
    if mode == "binding":
        name, question = await asked_by(world, message)
        assert (question.wording.name, "Not reviewed: the model may" in question.text) == ("not-reviewed", True)
        await world.answer(workflow_id, name, "retry")
    result = await ended(world, workflow_id)
    assert result.review is not None
    assert (result.review.problem == "") is (mode == "binding")
    assert len(world.runtime.turns) == 1, "nobody is to repair what nobody has read"


async def test_what_was_objected_to_may_be_stopped(world: World) -> None:
    world.reviewer.objections = [["It logs the password"]]
    message = asking(world, max_rounds=1)
    workflow_id = await started(world, message)
    name, _ = await asked_by(world, message)
    await world.answer(workflow_id, name, "stop")
    with pytest.raises(Exception, match="failed"):
        await world.handle(workflow_id).result()
    assert world.forge.effects["publish"] == 0


async def test_a_green_commit_of_an_earlier_attempt_is_read_before_it_is_published(world: World) -> None:
    first = await done(world, world.engineering())
    kept = {"task_id": "eng-0", "branch": "task/eng-0", "base_commit": "a" * 40, "commit": first.commit_sha}
    message = asking(world, done={**kept, "tested": True, "verified": True})
    await done(world, message)
    assert [one.commit for one in world.reviewer.asked] == [first.commit_sha]


async def test_a_cancel_stops_the_review(world: World) -> None:
    world.reviewer.step.held = True
    message = asking(world)
    workflow_id = await started(world, message)
    await world.reviewer.step.reached()
    await world.handle(workflow_id).cancel()
    await within(world.reviewer.step.stopped.wait(), 15)
    with pytest.raises(Exception, match="failed") as ending:
        await world.handle(workflow_id).result()
    assert "ancel" in str(ending.value.__cause__)
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert set(world.reviewer.stopped) == {1}
