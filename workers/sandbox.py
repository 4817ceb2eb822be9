"""The sandbox of workflow code: always on, and no slower than it has to be.

Measured by `benchmarks.flow_overhead`; docs/performance.md has the figures of each of these.
"""

import compileall
from pathlib import Path
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import CommandType
from temporalio.converter import SerializationContext, StorageDriverStoreContext, WorkflowSerializationContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info

import workflows
from runtime.temporal.codec import mark, not_authentic

# Loaded once for all workflows instead of once per run. Ours hold no state and touch nothing at import; `workflows`
# itself stays inside the sandbox.
PASSED_THROUGH = ("contracts", "activities")

_CHILD = CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION
_SIGNAL = CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION

_RESTRICTIONS = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)


class KnownContextRunner(SandboxedWorkflowRunner):
    """The SDK's sandbox, for a payload codec that asks only for which workflow a payload is.

    The SDK asks the workflow, inside its sandbox, three times for the context of each payload. To enter the sandbox
    costs more than to encrypt the payload, and the commands that leave it say the same.
    """

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance that does not enter the sandbox to say where a payload belongs."""
        return _KnownContexts(super().create_instance(det), det.info)


class _KnownContexts(WorkflowInstance):
    """Payloads belong to this workflow, except those of its children and those that it sends to other workflows."""

    def __init__(self, sandboxed: WorkflowInstance, info: Info) -> None:
        self._sandboxed = sandboxed
        self._namespace = info.namespace
        self._own = self._of(info.workflow_id)
        self._others: dict[tuple[int, int], SerializationContext] = {}

    def activate(self, act: Any) -> Any:  # noqa: ANN401 - a message of the SDK's private bridge
        _prove(act)
        completion = self._sandboxed.activate(act)
        for command in completion.successful.commands:
            self._remember(command)
        return completion

    def _remember(self, command: Any) -> None:  # noqa: ANN401 - a message of the SDK's private bridge
        """Also when a run is replayed: then its commands are made again, before the answers to them come."""
        if command.HasField("start_child_workflow_execution"):
            started = command.start_child_workflow_execution
            self._others[_CHILD, started.seq] = self._of(started.workflow_id)
        elif command.HasField("signal_external_workflow_execution"):
            sent = command.signal_external_workflow_execution
            self._others[_SIGNAL, sent.seq] = self._of(sent.child_workflow_id or sent.workflow_execution.workflow_id)

    def _of(self, workflow_id: str) -> SerializationContext:
        return WorkflowSerializationContext(namespace=self._namespace, workflow_id=workflow_id)

    def get_info(self) -> Info:
        return self._sandboxed.get_info()

    def get_thread_id(self) -> int | None:
        return self._sandboxed.get_thread_id()

    def get_serialization_context(self, command_info: Any) -> SerializationContext | None:  # noqa: ANN401 - the SDK's private type
        if command_info is None:
            return self._own
        return self._others.get((command_info.command_type, command_info.command_seq), self._own)

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        return StorageDriverStoreContext(target=None)


def _prove(act: Any) -> None:  # noqa: ANN401 - a message of the SDK's private bridge
    """Have a start, or an answer, without any payload refused like one with a payload of a stranger.

    Ours always have one, also where the answer is None. Without it no workflow could be made from a start, whose first
    task would fail for ever, and a step that nobody did would count as done.
    """
    for job in act.jobs:
        match job.WhichOneof("variant"):
            case "initialize_workflow" if not job.initialize_workflow.arguments:
                job.initialize_workflow.arguments.append(_absent())
            case "resolve_activity" | "resolve_child_workflow_execution" as kind:
                result = getattr(job, kind).result
                if result.WhichOneof("status") == "completed" and not result.completed.HasField("result"):
                    result.completed.result.CopyFrom(_absent())


def _absent() -> Payload:
    return mark(not_authentic("it is not there"))


def build_runner() -> SandboxedWorkflowRunner:
    """The sandbox stays on."""
    return KnownContextRunner(restrictions=_RESTRICTIONS)


def compile_workflows() -> None:
    """Write the bytecode of workflow code, if it can be written.

    The sandbox loads this code again for every run, so that under PYTHONDONTWRITEBYTECODE, which images often set, each
    run would compile it.
    """
    compileall.compile_dir(Path(workflows.__file__).parent, quiet=2)
