"""Small workflows that show how payloads, limits and keys behave; they are not part of the product."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

TOO_LARGE = 262_144
NO_SPACE_IN_HISTORY = "x" * TOO_LARGE


@activity.defn(name="test.echo")
async def echo(text: str) -> str:
    return text


@activity.defn(name="test.return_too_much")
async def return_too_much() -> str:
    return NO_SPACE_IN_HISTORY


@activity.defn(name="test.fail_with_a_huge_message")
async def fail_with_a_huge_message() -> None:
    raise ApplicationError("start of the message " + NO_SPACE_IN_HISTORY * 3, NO_SPACE_IN_HISTORY, type="HUGE")


@workflow.defn(name="test.oversized")
class OversizedWorkflow:
    """Does one thing that is too large: `argument`, `result`, `activity-result`, `failure` or `child`."""

    @workflow.run
    async def run(self, what: str) -> str:
        once = RetryPolicy(maximum_attempts=2, initial_interval=timedelta(milliseconds=10))
        options = {"start_to_close_timeout": timedelta(seconds=10), "retry_policy": once}
        if what == "argument":
            return await workflow.execute_activity(echo, NO_SPACE_IN_HISTORY, **options)
        if what == "activity-result":
            return await workflow.execute_activity(return_too_much, **options)
        if what == "failure":
            await workflow.execute_activity(fail_with_a_huge_message, **options)
        if what == "child":
            return await workflow.execute_child_workflow(OversizedWorkflow.run, NO_SPACE_IN_HISTORY)
        if what == "continue-as-new":
            workflow.continue_as_new(NO_SPACE_IN_HISTORY)
        return NO_SPACE_IN_HISTORY


@workflow.defn(name="test.conversation")
class ConversationWorkflow:
    """Echoes what it is told through an activity, until it is told to fail or to stop."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.said: list[str] = []

    @workflow.run
    async def run(self, opening: str) -> list[str]:
        self.heard.append(opening)
        while True:
            await workflow.wait_condition(lambda: len(self.heard) > 0)
            text = self.heard.pop(0)
            if text.startswith("fail:"):
                raise ApplicationError(text, type="TOLD_TO_FAIL", non_retryable=True)
            if text == "stop":
                return self.said
            self.said.append(
                await workflow.execute_activity(
                    echo, text, start_to_close_timeout=timedelta(seconds=10), summary=f"echo {text}"
                )
            )

    @workflow.signal
    def say(self, text: str) -> None:
        self.heard.append(text)

    @workflow.update
    def repeat_too_much(self, please: str) -> str:
        return NO_SPACE_IN_HISTORY

    @workflow.query
    def transcript(self) -> list[str]:
        return self.said
