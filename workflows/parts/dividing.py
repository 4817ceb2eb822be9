"""Dividing a large work, which parks at a limit of the planner's model as every other step does."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.parts import PartsActivities
    from contracts.departments import DeliveryMessage
    from contracts.errors import ErrorCode
    from contracts.parts import WorkPart
    from contracts.planning import PartsPlan, PartsRequest
    from workflows import failures, options
    from workflows.engineering_parts import stopping
    from workflows.ledger import Ledger
    from workflows.limits import resuming
    from workflows.limits.parking import Parking
    from workflows.parts import requests


async def divide(message: DeliveryMessage, ledger: Ledger) -> list[WorkPart]:
    """The parts of the wish; fewer than two for one in one piece."""
    request, parking = requests.parts(message), Parking(message, ledger)
    try:
        while (plan := await _plan(request)).limit is not None:
            stop = resuming.Stop("divide", 0, request.judge.agent, request.judge.model)
            resumption = await parking.resume(plan.limit, stop)
            request = requests.parts_again(request, resumption)
            if resumption.stopped:
                raise failures.failure(ErrorCode.STOPPED_AT_LIMIT, _stopped(message))
    except failures.ENDINGS:
        await stopping.stop_dividing(request.judge, ledger)
        raise
    return plan.parts


async def _plan(request: PartsRequest) -> PartsPlan:
    return await workflow.execute_activity_method(
        PartsActivities.plan, request, **options.named(options.PLANNING, "Plan: is it one piece of work?")
    )


def _stopped(message: DeliveryMessage) -> str:
    return (
        f"Stopped at a limit before anything was built; `orchestrator task retry {message.task_id}` begins with the "
        "plan again."
    )
