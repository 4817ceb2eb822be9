"""Graphs are kept with each instance of a run.

The plugin keeps them by the id of the run, and forgets them when an instance of that run ends. One that was evicted
from the cache may end after its successor has begun, which then has none when it asks for the next.
"""

from collections.abc import Mapping
from typing import Any

from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from workflows import graph_run
from workflows.graphs.topology import Topology


class GraphsOfRun(Interceptor):
    """Beside the plugin's own interceptor."""

    def __init__(self, graphs: Mapping[str, Topology]) -> None:
        self._graphs = dict(graphs)

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        graphs = self._graphs

        class Inbound(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: ANN401 - the SDK's signature
                graph_run.keep(graphs)
                return await self.next.execute_workflow(input)

        return Inbound
