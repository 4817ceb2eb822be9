"""The sandbox of workflow code: always on, and no slower than it has to be.

Measured by `benchmarks.flow_overhead`; docs/performance.md has the figures of each of these.
"""

import compileall
from pathlib import Path
from typing import Any

from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info

import workflows

# Loaded once for all workflows instead of once per run. Ours hold no state and touch nothing at import; `workflows`
# itself stays inside the sandbox.
PASSED_THROUGH = ("contracts", "activities")

_RESTRICTIONS = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)


class OneContextRunner(SandboxedWorkflowRunner):
    """The SDK's sandbox, for data converters that treat every payload alike, as ours does.

    The SDK asks the workflow, inside its sandbox, three times for the context of each payload. To enter the sandbox
    costs more than to encrypt the payload.
    """

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance that does not enter the sandbox to say where a payload belongs."""
        return _OneContext(super().create_instance(det))


class _OneContext(WorkflowInstance):
    def __init__(self, sandboxed: WorkflowInstance) -> None:
        self._sandboxed = sandboxed

    def activate(self, act: Any) -> Any:  # noqa: ANN401 - a message of the SDK's private bridge
        return self._sandboxed.activate(act)

    def get_info(self) -> Info:
        return self._sandboxed.get_info()

    def get_thread_id(self) -> int | None:
        return self._sandboxed.get_thread_id()

    def get_serialization_context(self, command_info: object) -> SerializationContext | None:
        return None

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        return StorageDriverStoreContext(target=None)


def build_runner() -> SandboxedWorkflowRunner:
    """The sandbox stays on."""
    return OneContextRunner(restrictions=_RESTRICTIONS)


def compile_workflows() -> None:
    """Write the bytecode of workflow code, if it can be written.

    The sandbox loads this code again for every run, so that under PYTHONDONTWRITEBYTECODE, which images often set, each
    run would compile it.
    """
    compileall.compile_dir(Path(workflows.__file__).parent, quiet=2)
