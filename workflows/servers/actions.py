"""Following what a provider does with a machine: by timers, for as long as the workflow has patience.

A provider that does not answer, or wants to be asked later, has said nothing about the action: it is asked again at the
next look. Only the action's own end, or the end of patience, ends the wait.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.providers import ProviderActivities
    from contracts.errors import ErrorCode
    from contracts.servers.providers import ActionPatience, ProviderAction, ProviderOrder, ProviderProgress
    from contracts.states import ProviderActionKind, ProviderActionState, ProviderKind
    from contracts.wording import counted
    from workflows import options
    from workflows.failures import failure, root_cause

_SAYS_NOTHING = frozenset({ErrorCode.PROVIDER_THROTTLED, ErrorCode.PROVIDER_UNREACHABLE})


async def carried_out(order: ProviderOrder, patience: ActionPatience) -> ProviderProgress:
    """Order it and wait for its end. Raises ApplicationError PROVIDER_FAILED, PROVIDER_SILENT, and what the order or a
    look raises."""
    action = await _ordered(order)
    until = workflow.now() + timedelta(seconds=patience.limit_s)
    while True:
        await asyncio.sleep(patience.every_s)
        found = await _look(action)
        if found is not None and found.state is ProviderActionState.DONE:
            return found
        if found is not None and found.state is ProviderActionState.FAILED:
            raise failure(ErrorCode.PROVIDER_FAILED, f"{found.detail}. Look at {_name(order)} at its provider.")
        if workflow.now() >= until:
            minutes = counted(round(patience.limit_s / 60), "minute")
            raise failure(
                ErrorCode.PROVIDER_SILENT,
                f"{order.kind.value} of {_name(order)} has not ended within {minutes}. Look at it at its provider.",
            )


async def installed(
    order: ProviderOrder, patience: ActionPatience, password_patience: ActionPatience
) -> ProviderProgress:
    """Have a machine installed anew, and what opens it kept: where the result has no password, one is ordered. A
    container of this machine has none, and needs none."""
    found = await carried_out(order, patience)
    if found.credential is not None or order.ref.provider is ProviderKind.LOCAL:
        return found
    another = order.model_copy(
        update={"kind": ProviderActionKind.RESET_PASSWORD, "order_id": f"{order.order_id[:90]}-password"}
    )
    return await carried_out(another, password_patience)


async def _ordered(order: ProviderOrder) -> ProviderAction:
    summary = f"Order at {order.ref.provider.value}: {order.kind.value} {_name(order)}"
    return await workflow.execute_activity_method(
        ProviderActivities.order, order, **options.named(options.PROVIDER, summary)
    )


async def _look(action: ProviderAction) -> ProviderProgress | None:
    """How far it is; None where the provider does not say."""
    summary = f"Ask {action.ref.provider.value} how far {action.kind.value} is"
    try:
        return await workflow.execute_activity_method(
            ProviderActivities.progress, action, **options.named(options.PROVIDER, summary)
        )
    except ActivityError as error:
        cause = root_cause(error)
        if isinstance(cause, ApplicationError) and cause.type in _SAYS_NOTHING:
            return None
        raise


def _name(order: ProviderOrder) -> str:
    return order.ref.server_handle
