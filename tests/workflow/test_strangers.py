"""A process that reaches Temporal and has no key: it deploys nothing, stops nothing, and answers nothing."""

from dataclasses import replace

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError

from contracts.errors import ErrorCode
from contracts.ids import deploy_workflow_id
from contracts.names import Queue, UpdateName, WorkflowName
from contracts.states import DeployAction
from tests.support.workflows.fakes import Step
from tests.support.workflows.workflow_world import World

A, B = "a" * 40, "b" * 40


@pytest.fixture
async def stranger(world: World) -> Client:
    return await Client.connect(world.client.service_client.config.target_host, data_converter=pydantic_data_converter)


async def is_refused(world: World) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await world.deploy_handle().result()
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == ErrorCode.PAYLOAD_NOT_AUTHENTIC.value


@pytest.mark.parametrize("action", [DeployAction.DEPLOY, DeployAction.STOP, DeployAction.REMOVE])
async def test_a_stranger_does_nothing_to_a_service(world: World, stranger: Client, action: DeployAction) -> None:
    await stranger.start_workflow(
        WorkflowName.DEPLOY,
        world.deploy(action=action),
        id=deploy_workflow_id(world.slug),
        task_queue=Queue.ORCHESTRATOR,
    )
    await is_refused(world)
    assert (world.target.released, world.target.operations) == ([], [])


async def test_a_stranger_changes_nothing_of_a_running_deploy(world: World, stranger: Client) -> None:
    world.target.step = Step(held=True)
    message = world.deploy(commit=A)
    started = await world.gateway.start_deploy(message)
    await world.target.step.reached()
    handle = stranger.get_workflow_handle(started.workflow_id)
    for name, order in (
        (UpdateName.SUBMIT, world.deploy(commit=B)),
        (UpdateName.OUTCOME, world.deploy(commit=B)),
        (UpdateName.WITHDRAW, message),
    ):
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(name, order)
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(name)
    world.target.step.released.set()
    await world.handle(started.workflow_id).result()
    assert len(world.target.released) == 1


async def test_the_deploy_of_one_project_is_not_copied_to_another(world: World, stranger: Client) -> None:
    started = await world.gateway.start_deploy(world.deploy(commit=A))
    await world.handle(started.workflow_id).result()
    history = await stranger.get_workflow_handle(started.workflow_id).fetch_history()
    copied = history.events[0].workflow_execution_started_event_attributes.input.payloads[0]
    other = replace(world, project_id=f"{world.project_id}-b")
    await stranger.start_workflow(
        WorkflowName.DEPLOY, RawValue(copied), id=deploy_workflow_id(other.slug), task_queue=Queue.ORCHESTRATOR
    )
    await is_refused(other)
    assert len(world.target.released) == 1
