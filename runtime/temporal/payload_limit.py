"""Makes continue-as-new with a too large input fail the workflow.

The SDK converts that input after the workflow function has ended, where an error is lost and the run would hang
without end; so it is converted once before, where the error still reaches the workflow.
"""

from __future__ import annotations

from typing import NoReturn

import temporalio.client
import temporalio.worker
from temporalio import workflow
from temporalio.worker import (
    ContinueAsNewInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)


class PayloadLimitInterceptor(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Passed to a client, it reaches every worker of that client; a replayer needs it separately."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """The interceptor of every workflow."""
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class _Outbound(WorkflowOutboundInterceptor):
    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:
        workflow.payload_converter().to_payloads([*input.args, *(input.memo or {}).values()])
        super().continue_as_new(input)
