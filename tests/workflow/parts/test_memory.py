"""Failures on the way are remembered, and people see the memory as main has it."""

from contracts.departments import EngineeringMessage
from tests.support.workflows.workflow_world import World


async def built(world: World, **changes: object) -> EngineeringMessage:
    started = await world.gateway.start_engineering(message := world.engineering(**changes))
    await world.handle(started.workflow_id).result()
    return message


async def test_red_checks_and_a_service_that_is_not_as_asked_are_told_once_each(world: World) -> None:
    world.tester.failures = ["first"]
    world.planner.clauses = ["A notes service"]
    world.acceptance.misses = [{"notes"}]
    message = await built(world, acceptance="binding")
    told = [(one.what, one.evidence) for one in world.platform.failures.values()]
    assert told[0] == ("Checks were red", "FAILED first")
    assert told[1][0] == "The running service was not as asked"
    assert len(told) == 2
    [published] = world.platform.memories
    assert (published.task_id, published.commit) == (message.task_id, world.forge.main)


async def test_the_first_message_names_the_memory(world: World) -> None:
    await built(world)
    assert "MEMORY.md" in world.runtime.turns[0].message
