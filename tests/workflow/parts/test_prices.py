"""Before anything is built, the plan says what it will probably cost and how sure that is; without a model nothing."""

import pytest

from contracts.costs import CostEstimate, CostEstimateRequest
from contracts.departments import EngineeringMessage
from tests.support.workflows.workflow_world import World

PRICE = "It will probably cost about $1.50, $0.80 to $4.00, by 7 earlier tasks."


def planned(world: World, **changes: object) -> EngineeringMessage:
    return world.engineering(**{"acceptance": "binding", "agent": "claude-code"} | changes)


@pytest.fixture
def asked(world: World, monkeypatch: pytest.MonkeyPatch) -> list[CostEstimateRequest]:
    """What was asked for a price; earlier tasks have cost a dollar or two."""
    asked: list[CostEstimateRequest] = []

    async def estimate(request: CostEstimateRequest) -> CostEstimate:
        asked.append(request)
        amounts = {"expected_usd": 1.5, "low_usd": 0.8, "high_usd": 4.0, "earlier_tasks": 7}
        return CostEstimate.model_validate({"task_id": request.task_id, **amounts})

    monkeypatch.setattr(world.platform, "estimate_cost", estimate)
    return asked


def told(world: World, task_id: str) -> str:
    return "\n".join(str(p.milestone.message) for p in world.platform.of(task_id) if p.milestone)


async def test_the_plan_says_the_price(world: World, asked: list[CostEstimateRequest]) -> None:
    started = await world.gateway.start_engineering(message := planned(world))
    await world.handle(started.workflow_id).result()
    assert PRICE in told(world, message.task_id)
    assert [(one.task_id, one.agent.value) for one in asked] == [(message.task_id, "claude-code")]


async def test_whoever_approves_the_plan_sees_the_price(world: World, asked: list[CostEstimateRequest]) -> None:
    started = await world.gateway.start_engineering(message := planned(world, plan_approval="ask"))
    question_id = await world.question(message.task_id)
    question = next(p.question for p in world.platform.of(message.task_id) if p.question)
    assert PRICE in question.text
    assert question.wording is not None
    assert PRICE in question.wording.fields["criteria"]
    await world.answer(started.workflow_id, question_id, "approve")
    await world.handle(started.workflow_id).result()


async def test_without_earlier_tasks_no_price_is_said(world: World) -> None:
    started = await world.gateway.start_engineering(message := planned(world))
    await world.handle(started.workflow_id).result()
    assert "cost" not in told(world, message.task_id)


async def test_work_for_which_no_model_works_has_no_price(world: World, asked: list[CostEstimateRequest]) -> None:
    started = await world.gateway.start_engineering(message := planned(world, agent="scripted"))
    await world.handle(started.workflow_id).result()
    assert asked == []
    assert "cost" not in told(world, message.task_id)
