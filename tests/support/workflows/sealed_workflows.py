"""Small workflows that show who may command them; they are not part of the product.

`DONE` has every effect that an activity of this test process really had.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ApplicationError, ChildWorkflowError

DONE: list[str] = []
ONCE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(maximum_attempts=1),
}
TWICE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(maximum_attempts=2, initial_interval=timedelta(milliseconds=10)),
}


@activity.defn(name="test.effect")
async def effect(text: str) -> str:
    DONE.append(text)
    return text


@activity.defn(name="test.waits")
async def waits(text: str) -> str:
    """Ends only when somebody else completes it."""
    activity.raise_complete_async()


@activity.defn(name="test.remembers")
async def remembers(text: str) -> str:
    """Fails once; its second attempt reads what the first one has left in its heartbeat."""
    if activity.info().heartbeat_details:
        return f"{text}, {activity.info().heartbeat_details[0]}"
    activity.heartbeat("half done")
    raise ApplicationError("once", "with details")


@workflow.defn(name="test.commanded")
class CommandedWorkflow:
    """Has the effect of every text that it is told, until it is told to stop, to fail or to go on as a new run."""

    def __init__(self) -> None:
        self._heard: list[str] = []
        self._done: list[str] = []

    @workflow.run
    async def run(self, opening: str) -> list[str]:
        self._heard.insert(0, opening)
        while True:
            await workflow.wait_condition(lambda: bool(self._heard))
            text = self._heard.pop(0)
            if text == "stop":
                return self._done
            if text.startswith("fail"):
                raise ApplicationError(text, {"told": text}, type="TOLD_TO_FAIL", non_retryable=True)
            if text == "renew":
                workflow.continue_as_new("stop")
            step = waits if text == "wait" else effect
            self._done.append(await workflow.execute_activity(step, text, activity_id=f"step-{text}", **ONCE))

    @workflow.signal
    def say(self, text: str) -> None:
        self._heard.append(text)

    @workflow.update
    async def order(self, text: str) -> str:
        return await workflow.execute_activity(effect, text, **ONCE)

    @workflow.query
    def done(self) -> list[str]:
        return self._done


@workflow.defn(name="test.parent")
class ParentWorkflow:
    """Passes payloads in every way in which one workflow reaches others and its activities."""

    @workflow.run
    async def run(self, child_id: str) -> dict[str, Any]:
        child = await workflow.start_child_workflow(
            CommandedWorkflow.run, "opening", id=child_id, static_summary="A child", memo={"from": "its parent"}
        )
        await child.signal(CommandedWorkflow.say, "from the parent")
        afar = workflow.get_external_workflow_handle(child_id)
        await afar.signal(CommandedWorkflow.say, "from afar")
        await afar.signal(CommandedWorkflow.say, "stop")
        return {
            "child": await child,
            "failure": await self._failure_of_a_child(f"{child_id}/failing"),
            "local": await workflow.execute_local_activity(effect, "locally", **ONCE),
            "remembered": await workflow.execute_activity(remembers, "a step", summary="A step", **TWICE),
        }

    async def _failure_of_a_child(self, child_id: str) -> list[Any]:
        """The message and the details."""
        try:
            await workflow.execute_child_workflow(CommandedWorkflow.run, "fail on purpose", id=child_id)
        except ChildWorkflowError as error:
            cause = error.cause
        return [cause.message, list(cause.details)] if isinstance(cause, ApplicationError) else [str(cause)]


@workflow.defn(name="test.thief")
class ThiefWorkflow:
    """Of a stranger: has steps done by the Temporal workers of others."""

    @workflow.run
    async def run(self, queue: str, order: RawValue) -> str:
        return str(await workflow.execute_activity("test.effect", order, task_queue=queue, **ONCE))


@workflow.defn(name="test.step-thief")
class StepThiefWorkflow:
    """Of a stranger: has a step of any name done."""

    @workflow.run
    async def run(self, queue: str, step: str, order: RawValue) -> None:
        await workflow.execute_activity(step, order, task_queue=queue, **ONCE)


@workflow.defn(name="test.forged-end")
class ForgedEndWorkflow:
    """Of a stranger: ends as he wants it."""

    @workflow.run
    async def run(self, says: str, well: bool) -> dict[str, str]:
        if not well:
            raise ApplicationError(says, type="STOPPED_BY_PERSON", non_retryable=True)
        return {"deployed_url": says}


WORKFLOWS: list[type] = [CommandedWorkflow, ParentWorkflow]
ACTIVITIES: list[Any] = [effect, waits, remembers]
