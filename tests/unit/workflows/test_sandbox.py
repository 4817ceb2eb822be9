"""The sandbox is the SDK's; modules that bypass it change nothing."""

import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from runtime import keyring
from runtime.temporal.converter import build_data_converter
from workers import sandbox
from workflows import engineering

OWN = WorkflowSerializationContext(namespace="default", workflow_id="engineering/eng-1")
OF_A_STEP = ActivitySerializationContext(
    namespace="default",
    workflow_id="engineering/eng-1",
    workflow_type="engineering",
    activity_type="projection.apply",
    activity_id="1",
    activity_task_queue="orchestrator",
    is_local=False,
)


def test_of_a_context_our_converter_uses_only_the_workflow(tmp_path: Path) -> None:
    """If this fails, `KnownContextRunner` must go: for a step it tells only the workflow."""
    keyring.create_if_absent(tmp_path / "keys.json")
    plain = build_data_converter(keyring.KeyRing.load(tmp_path / "keys.json"))
    of_workflow, of_step = plain.with_context(OWN), plain.with_context(OF_A_STEP)
    assert vars(of_workflow.payload_codec) == vars(of_step.payload_codec)
    for told in (of_workflow, of_step):
        assert told.payload_converter is plain.payload_converter
        assert told.failure_converter is plain.failure_converter
    assert plain.external_storage is None


def test_workflow_code_runs_in_the_sandbox_and_is_not_passed_through() -> None:
    runner = sandbox.build_runner()
    assert isinstance(runner, SandboxedWorkflowRunner)
    assert not [name for name in runner.restrictions.passthrough_modules if name.startswith("workflows")]


def test_bytecode_is_written_also_where_python_is_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written = Path(cache_from_source(str(engineering.__file__)))
    written.unlink(missing_ok=True)
    sandbox.compile_workflows()
    assert written.exists()
