"""Done means that the wish was met, as somebody else than the agent has seen it."""

import pytest

from contracts import ids
from contracts.agent_workers import TurnOutcome
from contracts.criteria import Criterion
from contracts.departments import EngineeringMessage, EngineeringResult
from contracts.states import CriterionState, QuestionKind, TaskState
from contracts.steps import PublishResult
from tests.support.eventually import eventually
from tests.support.patience import within
from tests.support.workflows.fakes import sha
from tests.support.workflows.workflow_world import World

WISH = "A notes service: title, text. Never show passwords"
THING, DENIAL = "A notes service: title, text", "Never show passwords"


def asking(world: World, **changes: object) -> EngineeringMessage:
    spec = {"name": "notes", "description": WISH}
    return world.engineering(**{"acceptance": "binding", "spec": spec, "max_rounds": 2} | changes)


async def done(world: World, message: EngineeringMessage) -> EngineeringResult:
    started = await world.gateway.start_engineering(message)
    return EngineeringResult.model_validate(await world.handle(started.workflow_id).result())


def states(result: EngineeringResult) -> dict[str, str]:
    return {one.words or one.sentence: one.state.value for one in result.criteria}


async def test_every_clause_is_checked_also_one_that_the_plan_has_dropped(world: World) -> None:
    world.planner.clauses = [THING]
    result = await done(world, message := asking(world))
    assert states(result) == {THING: "met", DENIAL: "met"}
    assert world.acceptance.accepted[0].commit == result.commit_sha
    assert len(world.runtime.turns) == 1
    stages = list(dict.fromkeys(p.stage for p in world.platform.of(message.task_id)))
    assert stages == [
        "started", "scaffolding", "planning", "developing", "testing", "accepting", "publishing", "completed"
    ]  # fmt: skip
    assert "What the running service is checked for" in world.runtime.turns[0].message
    told = [p.milestone.message for p in world.platform.of(message.task_id) if p.milestone]
    assert f"Done means (2 criteria): It has: {THING}; {DENIAL}." in told


async def test_a_wish_that_is_missed_goes_back_with_what_was_seen_and_is_not_published_before(world: World) -> None:
    world.planner.clauses = [THING]
    world.acceptance.misses = [{"passwords"}]
    result = await done(world, asking(world))
    assert [turn.turn for turn in world.runtime.turns] == [1, 2]
    assert DENIAL in world.runtime.turns[1].message
    assert "does not do what was asked for" in world.runtime.turns[1].message
    assert states(result)[DENIAL] == "met"
    assert world.forge.effects["publish"] == 1


async def test_what_is_met_needs_no_second_look_and_a_miss_is_one_only_by_the_services_own_description(
    world: World,
) -> None:
    world.planner.clauses, world.check_writer.guesses = [THING, DENIAL], True
    await done(world, asking(world))
    assert world.acceptance.described == 0
    world.acceptance.misses = [{"passwords"}]
    result = await done(world, asking(world))
    assert states(result)[DENIAL] == "met", "the path was another one than the wish has said"
    assert (world.acceptance.described, len(world.runtime.turns)) == (1, 2)


async def test_the_same_miss_twice_asks_a_person_who_may_take_it_as_it_is(world: World) -> None:
    world.acceptance.misses = [{"passwords"}, {"passwords"}]
    world.planner.clauses = [THING, DENIAL]
    message = asking(world, max_rounds=5)
    started = await world.gateway.start_engineering(message)
    question = await world.question(message.task_id)
    assert len(world.runtime.turns) == 2
    (asked,) = [p.question for p in world.platform.projections if p.question and p.question.id == question]
    assert f"It has: {DENIAL}" in asked.text
    assert asked.choices == ["retry", "accept", "stop"]
    await world.answer(started.workflow_id, question, "accept")
    result = EngineeringResult.model_validate(await world.handle(started.workflow_id).result())
    assert states(result) == {THING: "met", DENIAL: "not_met"}
    assert [one.criterion.words for one in world.platform.kept.values()] == [THING], "what is missing is no promise"


async def test_an_agent_that_offers_accept_does_not_have_a_commit_published_that_nobody_has_tested(
    world: World,
) -> None:
    world.acceptance.misses = [{"passwords"}]
    world.planner.clauses = [THING, DENIAL]
    offers = TurnOutcome(
        status="question",
        turn=2,
        question="Shall visitors accept cookies?",
        choices=["accept", "decline"],
        commit=sha("untested"),
    )
    world.runtime.scripts = [TurnOutcome(status="done", turn=1), offers]
    message = asking(world)
    started = await world.gateway.start_engineering(message)
    await world.answer(started.workflow_id, await world.question(message.task_id), "accept")
    result = EngineeringResult.model_validate(await world.handle(started.workflow_id).result())
    assert "cookies" in world.runtime.turns[2].message
    assert [one.commit for one in world.forge.published] == [result.commit_sha]
    assert result.commit_sha in world.tester.verified
    assert states(result)[DENIAL] == "met"


async def test_a_person_may_advise_and_the_work_goes_on(world: World) -> None:
    world.acceptance.misses = [{"passwords"}, {"passwords"}]
    world.planner.clauses = [THING, DENIAL]
    message = asking(world)
    started = await world.gateway.start_engineering(message)
    await world.answer(started.workflow_id, await world.question(message.task_id), "hash them")
    result = EngineeringResult.model_validate(await world.handle(started.workflow_id).result())
    assert "hash them" in world.runtime.turns[-1].message
    assert states(result)[DENIAL] == "met"


async def test_advice_only_shows_what_was_missed(world: World) -> None:
    world.acceptance.misses = [{"passwords"}]
    world.planner.clauses = [THING, DENIAL]
    result = await done(world, asking(world, acceptance="advisory"))
    assert states(result) == {THING: "met", DENIAL: "not_met"}
    assert len(world.runtime.turns) == 1


async def test_what_nobody_can_check_is_said_and_what_the_agent_left_out_too(world: World) -> None:
    clauses = [THING, "unclear beauty", "unclear sorting"]
    world.planner.clauses = clauses
    left_out = Criterion(id="w1", sentence="No.", words=clauses[2], state=CriterionState.NOT_MET)
    world.runtime.scripts = [TurnOutcome(status="done", turn=1, criteria=[left_out])]
    spec = {"name": "notes", "description": ". ".join(clauses)}
    result = await done(world, asking(world, spec=spec))
    assert states(result) == {THING: "met", clauses[1]: "not_checkable", clauses[2]: "not_met"}


async def test_what_was_promised_stays_true_or_the_change_is_refused_by_name(world: World) -> None:
    world.planner.clauses = [THING]
    first = await done(world, asking(world))
    world.planner.clauses = ["Add stars"]
    world.acceptance.misses = [{"notes-service"}]
    later = asking(world, spec={"name": "notes", "description": "Add stars"})
    result = await done(world, later)
    assert THING in world.runtime.turns[-1].message
    assert [len(one.checks) for one in world.acceptance.accepted] == [2, 3, 3]
    assert first.commit_sha != result.commit_sha
    assert states(result) == {"Add stars": "met"}


async def test_a_promise_that_no_run_has_room_for_is_told_and_not_dropped(world: World) -> None:
    """A run has at most 50 criteria, those of the wish among them."""
    world.planner.clauses = [f"clause {'x' * number}" for number in range(1, 50)]
    await done(world, asking(world, spec={"name": "notes", "description": ". ".join(world.planner.clauses)}))
    assert len(world.platform.kept) == 49
    world.planner.clauses = ["Add stars", "Add moons", "Add suns"]
    result = await done(world, asking(world, spec={"name": "notes", "description": "Add stars. Add moons. Add suns"}))
    assert len(world.acceptance.accepted[-1].checks) == 50
    (told,) = [one for one in result.criteria if one.state is CriterionState.NOT_CHECKABLE]
    assert told.sentence == "Not checked of what was promised earlier: 2 promises."
    assert told.proof is not None
    assert f"clause {'x' * 49}" in told.proof.text
    assert f"clause {'x' * 48}" in told.proof.text
    assert told.sentence in world.forge.published[-1].summary
    assert len(world.platform.kept) == 52, "it stays promised"


async def test_a_project_without_room_for_more_promises_is_published_and_the_result_says_so(world: World) -> None:
    world.planner.clauses, world.platform.not_kept = [THING, DENIAL], ["It has stars"]
    result = await done(world, asking(world))
    assert result.summary is not None
    assert "Later changes are not checked for this: It has stars" in result.summary


async def test_a_wish_may_take_back_what_was_promised(world: World) -> None:
    world.planner.clauses = [THING]
    await done(world, asking(world))
    (kept,) = [name for name, one in world.platform.kept.items() if one.criterion.words == THING]
    world.planner.clauses, world.planner.retires = ["Remove notes"], [kept, "never-promised"]
    await done(world, asking(world, spec={"name": "notes", "description": "Remove notes"}))
    assert kept not in world.platform.kept
    assert kept not in {check.id for check in world.acceptance.accepted[-1].checks}


async def test_a_person_approves_the_plan_by_its_hash(world: World) -> None:
    world.planner.clauses = [THING]
    message = asking(world, plan_approval="ask")
    started = await world.gateway.start_engineering(message)
    question = await world.question(message.task_id)
    (asked,) = [p.question for p in world.platform.projections if p.question and p.question.id == question]
    assert asked.kind is QuestionKind.APPROVAL
    assert f"It has: {THING}" in asked.text
    assert not world.runtime.turns
    refused = await world.answer(started.workflow_id, question, "approve", plan_hash="0" * 64)
    assert "changed" in str(refused)
    await world.answer(started.workflow_id, question, "approve", plan_hash=asked.plan_hash)
    await world.handle(started.workflow_id).result()
    assert world.platform.state(message.task_id) is TaskState.COMPLETED


async def test_a_plan_that_is_not_approved_builds_nothing(world: World) -> None:
    message = asking(world, plan_approval="ask", acceptance="off")
    started = await world.gateway.start_engineering(message)
    await world.answer(started.workflow_id, await world.question(message.task_id), "stop")
    with_error = await _ended(world, started.workflow_id)
    assert "Stopped by a person" in with_error
    assert not world.runtime.turns


async def test_a_cancel_stops_what_is_checked(world: World) -> None:
    world.planner.clauses, world.acceptance.step.held = [THING], True
    message = asking(world)
    started = await world.gateway.start_engineering(message)
    await world.acceptance.step.reached()
    await world.handle(started.workflow_id).cancel()
    await within(world.acceptance.step.stopped.wait(), 15)
    await _ended(world, started.workflow_id)
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert set(world.acceptance.stopped) == {world.workspaces.heads[ids.worker_id_for_task(message.task_id)]}


async def _ended(world: World, workflow_id: str) -> str:
    try:
        await world.handle(workflow_id).result()
    except Exception as error:  # noqa: BLE001 - the reason is what the caller looks at
        return f"{error} {error.__cause__}"
    return ""


async def test_a_commit_that_is_behind_main_is_judged_by_what_was_promised_once_it_is_on_main(world: World) -> None:
    """Another task has promised something since this one began: its branch cannot have that yet."""
    world.planner.clauses = [THING]
    await done(world, asking(world, spec={"name": "notes", "description": THING}))
    message = asking(world, spec={"name": "notes", "description": DENIAL})
    world.planner.clauses = [DENIAL]
    old, new = sha(ids.turn_name(message.task_id, 1)), sha("rebased")
    world.forge.behind = {old}
    world.forge.publish_results = [PublishResult(status="rebased", commit=new)]
    await done(world, message)
    judged = [(one.commit, len(one.checks)) for one in world.acceptance.accepted[-2:]]
    assert judged == [(old, 1), (new, 2)]


async def _taken_and_moved(world: World, then: set[str]) -> tuple[EngineeringMessage, str, str]:
    """A second task whose miss a person takes as it is; main has moved meanwhile, and what it is brought onto misses
    `then`. Returns its message, the id of its workflow and of its question."""
    world.planner.clauses = [THING]
    await done(world, asking(world, spec={"name": "notes", "description": THING}))
    world.planner.clauses = [DENIAL]
    world.acceptance.misses = [{"passwords"}, {"passwords"}, then]
    world.forge.publish_results = [PublishResult(status="rebased", commit=sha("rebased"))]
    message = asking(world, spec={"name": "notes", "description": DENIAL}, max_rounds=5)
    started = await world.gateway.start_engineering(message)
    question = await world.question(message.task_id)
    await world.answer(started.workflow_id, question, "accept")
    return message, started.workflow_id, question


async def test_what_was_taken_as_it_is_holds_for_the_same_miss_on_a_main_that_has_moved(world: World) -> None:
    _, workflow_id, _ = await _taken_and_moved(world, {"passwords"})
    result = EngineeringResult.model_validate(await world.handle(workflow_id).result())
    assert (result.commit_sha, states(result)) == (sha("rebased"), {DENIAL: "not_met"})
    assert [one.criterion.words for one in world.platform.kept.values()] == [THING]
    assert "Taken as it is by a person" in world.forge.published[-1].summary


@pytest.mark.parametrize("answer", ["retry", "accept"])
async def test_what_is_missed_only_on_a_main_that_has_moved_is_asked_about_and_stays_promised_until_then(
    world: World, answer: str
) -> None:
    message, workflow_id, before = await _taken_and_moved(world, {"passwords", "notes-service"})
    asked = await eventually(
        lambda: next(
            (p.question for p in world.platform.of(message.task_id) if p.question and p.question.id != before), None
        )
    )
    assert f"Promised earlier: It has: {THING}" in asked.text
    assert "gives up what is said above to be promised earlier" in asked.text
    published = len(world.forge.published)
    assert [one.criterion.words for one in world.platform.kept.values()] == [THING]
    await world.answer(workflow_id, asked.id, answer)
    result = EngineeringResult.model_validate(await world.handle(workflow_id).result())
    assert len(world.forge.published) == published + 1
    kept = [one.criterion.words for one in world.platform.kept.values()]
    assert kept == ([THING, DENIAL] if answer == "retry" else [])
    assert result.commit_sha == (sha("rebased") if answer == "accept" else world.forge.published[-1].commit)
