"""A model's limit stops a turn: the task parks, people are asked or told a time, and the work goes on from there."""

import pytest
from temporalio.client import WorkflowFailureError

from contracts.agent_workers import TurnOutcome
from contracts.base import Actor
from contracts.errors import ErrorCode, OrchestratorError
from contracts.models import ModelLimit
from contracts.nouns import StartedTask
from contracts.questions import QuestionDTO
from contracts.states import ActorVia, AgentKind, MemberRole, QuestionKind, Role, TaskState
from tests.support.eventually import eventually
from tests.support.workflows.workflow_world import OWNER, STRANGER, World

EDITOR = Actor(user_id=3003, role=Role.MEMBER, via=ActorVia.CLI)
SPENT = ModelLimit(kind="budget", scope="task", scope_id="eng-1", spent_usd=5.01, limit_usd=5.0, message="$5 are spent")
NEARLY = SPENT.model_copy(update={"spent_usd": 4.2, "warning": True})
KEY = ModelLimit(kind="auth", account="anthropic", message="invalid x-api-key")


def stopped(limit: ModelLimit, summary: str = "half done") -> TurnOutcome:
    return TurnOutcome(status="failed", turn=1, summary=summary, limit=limit)


def asked(world: World, task_id: str) -> QuestionDTO:
    wanted = world.platform.open_question(task_id)
    return next(p.question for p in world.platform.of(task_id) if p.question and p.question.id == wanted)


async def parked(world: World, *scripts: TurnOutcome, **message: object) -> tuple[StartedTask, QuestionDTO]:
    """A task that waits for an answer at a limit."""
    world.runtime.scripts = list(scripts)
    started = await world.gateway.start_engineering(world.engineering(**message))
    await world.question(started.task_id)
    return started, asked(world, started.task_id)


async def next_question(world: World, started: StartedTask, before: QuestionDTO) -> str:
    open_now = world.platform.open_question
    await eventually(lambda: open_now(started.task_id) not in {None, before.id}, timeout=15)
    return str(open_now(started.task_id))


async def ended(world: World, started: StartedTask) -> TaskState | None:
    await world.handle(started.workflow_id).result()
    return world.platform.state(started.task_id)


async def test_a_spent_budget_parks_the_task_and_goes_on_after_a_raise_in_the_same_session(world: World) -> None:
    started, question = await parked(world, stopped(SPENT))
    assert world.platform.state(started.task_id) is TaskState.WAITING
    assert (question.kind, question.choices) == (QuestionKind.BUDGET, ["+5 USD", "stop"])
    assert "$5.01 of $5.00" in question.text
    await world.answer(started.workflow_id, question.id, "+5 USD")
    assert await ended(world, started) is TaskState.COMPLETED
    (raised,) = world.platform.raised.values()
    assert (raised.scope, raised.scope_id, raised.add_usd, raised.by) == ("task", "eng-1", 5.0, OWNER.user_id)
    assert [turn.session_id for turn in world.runtime.turns] == [None, "session-1"]
    assert "You were interrupted" in world.runtime.turns[1].message
    assert "Read TASK.md" in world.runtime.turns[1].message


async def test_each_answer_raises_once_and_a_budget_that_is_spent_again_asks_again(world: World) -> None:
    started, first = await parked(world, stopped(SPENT), stopped(SPENT))
    await world.answer(started.workflow_id, first.id, "+2.50")
    second = await next_question(world, started, first)
    repeated = await world.answer(started.workflow_id, first.id, "+$5")
    assert isinstance(repeated, OrchestratorError)
    assert repeated.code is ErrorCode.QUESTION_CLOSED
    await world.answer(started.workflow_id, second, "+$5")
    assert await ended(world, started) is TaskState.COMPLETED
    assert [one.add_usd for one in world.platform.raised.values()] == [2.5, 5.0]


@pytest.mark.parametrize(
    ("actor", "role", "text", "code"),
    [
        (STRANGER, None, "+$5", ErrorCode.QUESTION_NOT_YOURS),
        (EDITOR, MemberRole.EDITOR, "+$5", ErrorCode.QUESTION_NOT_YOURS),
        (OWNER, MemberRole.OWNER, "+0", ErrorCode.QUESTION_WRONG_CHOICE),
        (OWNER, MemberRole.OWNER, "+99999", ErrorCode.QUESTION_WRONG_CHOICE),
        (OWNER, MemberRole.OWNER, "yes", ErrorCode.QUESTION_WRONG_CHOICE),
        (OWNER, MemberRole.OWNER, "agent scripted", ErrorCode.QUESTION_WRONG_CHOICE),
    ],
)
async def test_only_owners_and_admins_decide_about_money_and_only_what_is_possible(
    world: World, actor: Actor, role: MemberRole | None, text: str, code: ErrorCode
) -> None:
    started, question = await parked(world, stopped(SPENT))
    refused = await world.answer(started.workflow_id, question.id, text, actor=actor, member_role=role)
    assert isinstance(refused, OrchestratorError)
    assert refused.code is code
    assert not world.platform.raised


async def test_the_budget_that_everybody_shares_is_raised_by_admins_only(world: World) -> None:
    month = SPENT.model_copy(update={"scope": "month", "scope_id": "2026-11"})
    started, question = await parked(world, stopped(month))
    refused = await world.answer(started.workflow_id, question.id, "+$5", member_role=MemberRole.OWNER)
    assert isinstance(refused, OrchestratorError)
    assert refused.code is ErrorCode.QUESTION_NOT_YOURS


async def test_stop_ends_the_task_as_cancelled_and_says_where_the_work_is(world: World) -> None:
    started, question = await parked(world, stopped(SPENT))
    await world.answer(started.workflow_id, question.id, "stop")
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    last = world.platform.of(started.task_id)[-1]
    assert (last.state, last.error_code) == (TaskState.CANCELLED, ErrorCode.STOPPED_AT_LIMIT)
    assert f"task/{started.task_id}" in str(last.error)
    assert last.result["kept_branch"] == f"task/{started.task_id}"
    assert len(world.runtime.turns) == 1


async def test_a_stop_at_a_limit_cancels_the_delivery_above(world: World) -> None:
    world.runtime.scripts = [stopped(SPENT)]
    message = world.delivery()
    started = await world.gateway.start_delivery(message)
    below = message.task_id.replace("dlv-", "eng-")
    question = await world.question(below)
    await world.answer(f"engineering/{below}", question, "stop")
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    last = world.platform.of(message.task_id)[-1]
    assert (last.state, last.error_code) == (TaskState.CANCELLED, ErrorCode.STOPPED_AT_LIMIT)
    assert f"task retry {message.task_id}" in str(last.error)


async def test_a_budget_that_is_nearly_spent_does_not_stop_work_that_needs_no_further_turn(world: World) -> None:
    world.runtime.scripts = [TurnOutcome(status="done", turn=1, limit=NEARLY)]
    started = await world.gateway.start_engineering(world.engineering())
    assert await ended(world, started) is TaskState.COMPLETED


async def test_it_asks_before_the_next_turn_and_a_cheaper_model_holds_for_the_rest_of_the_task(world: World) -> None:
    world.tester.failures = ["a", "b"]
    warned = [TurnOutcome(status="done", turn=turn, limit=NEARLY) for turn in (1, 2)]
    started, question = await parked(world, *warned, cheaper_model="small-1")
    assert question.choices == ["+5 USD", "cheaper", "continue", "stop"]
    assert len(world.tester.verified) == 1, "what was committed is tested first"
    await world.answer(started.workflow_id, question.id, "cheaper")
    assert await ended(world, started) is TaskState.COMPLETED
    assert [turn.model for turn in world.runtime.turns] == [None, "small-1", "small-1"], "and it is asked once"
    assert "FAILED a" in world.runtime.turns[1].message


async def test_a_refused_key_waits_for_an_admin_and_another_model_can_be_named(world: World) -> None:
    started, question = await parked(world, stopped(KEY))
    assert "secret set --platform" in question.text
    await world.answer(started.workflow_id, question.id, "model other-2")
    assert await ended(world, started) is TaskState.COMPLETED
    assert world.runtime.turns[1].model == "other-2"


async def test_another_agent_takes_over_in_the_same_workspace_with_a_session_of_its_own(world: World) -> None:
    window = ModelLimit(kind="window", account="anthropic", message="usage limit reached")
    world.runtime.scripts = [stopped(window, "wrote the routes")]
    message = world.engineering(agent=AgentKind.CLAUDE_CODE, fallback_agents=[AgentKind.CODEX], model="big-1")
    started = await world.gateway.start_engineering(message)
    assert await ended(world, started) is TaskState.COMPLETED
    first, second = world.runtime.turns
    assert (first.agent, first.model) == (AgentKind.CLAUDE_CODE, "big-1")
    assert (second.agent, second.model, second.session_id) == (AgentKind.CODEX, None, None)
    assert first.worker_id == second.worker_id
    assert "claude-code worked on this in the same workspace" in second.message
    assert "wrote the routes" in second.message
    told = [p.milestone.message for p in world.platform.of(message.task_id) if p.milestone]
    assert any("codex takes over from claude-code" in str(text) for text in told)


async def test_a_request_that_is_refused_is_tried_once_in_a_new_session_before_a_person_is_asked(world: World) -> None:
    too_long = ModelLimit(kind="request", message="prompt is too long")
    started, question = await parked(world, stopped(too_long), stopped(too_long))
    assert "prompt is too long" in question.text
    assert [turn.session_id for turn in world.runtime.turns] == [None, None]
    await world.answer(started.workflow_id, question.id, "retry")
    assert await ended(world, started) is TaskState.COMPLETED


async def test_turns_that_a_limit_stops_are_no_attempts_of_the_agent(world: World) -> None:
    started, question = await parked(world, stopped(SPENT), max_rounds=1)
    world.tester.failures = ["a"]
    await world.answer(started.workflow_id, question.id, "+$5")
    await next_question(world, started, question)
    assert "still red, after 1 round" in asked(world, started.task_id).text
