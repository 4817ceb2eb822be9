"""What the payload codec cannot see: messages without any payload, and which payloads are for a Schedule."""

from __future__ import annotations

from typing import Any

import temporalio.client
import temporalio.worker
from temporalio import workflow
from temporalio.client import CreateScheduleInput, OutboundInterceptor, ScheduleHandle, UpdateScheduleInput
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    HandleSignalInput,
    HandleUpdateInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from contracts.errors import ErrorCode
from runtime.temporal import sealing


class AuthenticityInterceptor(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Passed to a client, it reaches every worker of that client."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """Seals what a Schedule is made with for the workflows that it will start."""
        return _Schedules(super().intercept_client(next))

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """Refuses messages that prove nothing."""
        return _Inbound


class _Schedules(OutboundInterceptor):
    async def create_schedule(self, input: CreateScheduleInput) -> ScheduleHandle:
        with sealing.for_a_schedule():
            return await super().create_schedule(input)

    async def update_schedule(self, input: UpdateScheduleInput) -> None:
        with sealing.for_a_schedule():
            await super().update_schedule(input)


class _Inbound(WorkflowInboundInterceptor):
    """A payload proves who has sent a message. Every message of the product has one, so one without is a stranger's."""

    async def handle_signal(self, input: HandleSignalInput) -> None:
        if not input.args:
            workflow.logger.warning("a signal without a payload was dropped", extra={"signal": input.signal})
            return
        await super().handle_signal(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: ANN401 - the type of the base class
        if not input.args:
            raise ApplicationError(
                "An update without a payload is not from this platform.",
                type=ErrorCode.PAYLOAD_NOT_AUTHENTIC.value,
                non_retryable=True,
            )
        return await super().handle_update_handler(input)
