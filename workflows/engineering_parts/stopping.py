"""Stopping what a step of engineering has begun outside, and may have left there."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.acceptance import AcceptanceNodes
    from activities.engineering import EngineeringNodes
    from activities.review import ReviewNodes
    from contracts.departments import EngineeringMessage
    from contracts.planning import Judge
    from contracts.states import AcceptanceMode, AgentKind
    from contracts.steps import VerificationRequest
    from workflows import failures, options, patches
    from workflows.graphs import acceptance_rules, review_rules
    from workflows.ledger import Ledger
    from workflows.limits import resuming

State = dict[str, Any]


async def stop_steps(message: EngineeringMessage, state: State, name: str, commit: str) -> None:
    """Stop the step that a cancel has met and that nobody follows any more. `commit`: the one that it worked on."""
    if commit:
        await _stop_tests(message, commit)
        if message.acceptance is not AcceptanceMode.OFF:
            await _stop_acceptance(message, state, name, commit)
    if state.get("review"):
        await _stop_reviews(message, state)


async def stop_judges(message: EngineeringMessage, state: State, ledger: Ledger) -> None:
    """Stop whoever plans, writes checks or reviews with a model, and remove what they have left. A failure of that is
    told and changes nothing about how the task ends.
    """
    planner = resuming.planner_of(message, state)
    plans = acceptance_rules.is_planned(state) and planner.agent is not AgentKind.SCRIPTED
    reviews = bool(state.get("review")) and state.get("reviewer") != AgentKind.SCRIPTED
    if not (plans or reviews) or not patches.judges_end_with_their_task():
        return
    try:
        if plans:
            await _stop_planner(planner)
        if reviews:
            await _stop_reviews(message, state)
    except (FailureError, asyncio.CancelledError) as error:
        ledger.note(f"Who judged could not be stopped: {failures.code_and_message(error)[1]}")


async def stop_dividing(judge: Judge, ledger: Ledger) -> None:
    """As `stop_judges`, for who divides a large work."""
    if judge.agent is AgentKind.SCRIPTED or not patches.judges_end_with_their_task():
        return
    try:
        await _stop_planner(judge)
    except (FailureError, asyncio.CancelledError) as error:
        ledger.note(f"Who divides could not be stopped: {failures.code_and_message(error)[1]}")


async def _stop_planner(judge: Judge) -> None:
    await workflow.execute_activity_method(
        AcceptanceNodes.stop_judge, judge, **options.named(options.STOP, "Stop who plans and writes checks")
    )


async def _stop_tests(message: EngineeringMessage, commit: str) -> None:
    await workflow.execute_activity_method(
        EngineeringNodes.stop_tests,
        VerificationRequest(
            task_id=message.task_id,
            project_id=message.project_id,
            repository=message.repository or "",
            commit=commit,
        ),
        **options.named(options.STOP, "Stop the tests"),
    )


async def _stop_acceptance(message: EngineeringMessage, state: State, name: str, commit: str) -> None:
    await workflow.execute_activity_method(
        AcceptanceNodes.stop_acceptance,
        resuming.acceptance_stop(message, state, name, commit),
        **options.named(options.STOP, "Stop the acceptance"),
    )


async def _stop_reviews(message: EngineeringMessage, state: State) -> None:
    await workflow.execute_activity_method(
        ReviewNodes.stop_review,
        review_rules.stopping(message, state),
        **options.named(options.STOP, "Stop the review"),
    )
