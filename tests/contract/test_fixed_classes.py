"""The classes, bases, fields and defaults that other programs already speak, written down by hand.

This list is the promise. When a test here is red, the model is wrong and not the list; fields beyond it are free as
long as they are optional.
"""

from typing import Any, get_args
from uuid import UUID

import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticUndefined

from contracts import agent_workers, base, departments, nouns, progress, project_spec, questions
from contracts.schema_export import models
from contracts.states import (
    AgentKind,
    AgentWorkerState,
    IncidentStatus,
    IncidentType,
    ProjectStatus,
    QuestionState,
    ReleaseState,
    ResultStatus,
    ServerStatus,
    TaskState,
)

REQUIRED = PydanticUndefined
MADE = object()
"""Filled in when the message is made: a new id, the time, an empty collection."""

META = {"version": "1", "correlation_id": MADE, "timestamp": MADE}
MESSAGE = META | {"request_id": MADE, "callback_stream": None, "actor": None}
RESULT = {"request_id": REQUIRED, "status": REQUIRED, "error": None, "duration_ms": None}
COMMAND = META | {"request_id": REQUIRED}
RESPONSE = {"request_id": REQUIRED, "success": REQUIRED, "error": None}
TASK = {"task_id": REQUIRED, "project_id": REQUIRED, "user_id": REQUIRED}

FIXED: list[tuple[type[BaseModel], type[BaseModel], dict[str, Any]]] = [
    (base.QueueMeta, base.Contract, META),
    (base.BaseMessage, base.QueueMeta, MESSAGE),
    (base.BaseResult, base.Contract, RESULT),
    (base.Actor, base.Contract, {"user_id": REQUIRED, "role": REQUIRED, "via": REQUIRED}),
    (
        departments.EngineeringMessage,
        base.BaseMessage,
        MESSAGE | TASK | {"title": None, "spec": None, "spec_ref": None, "reply_to": None},
    ),
    (
        departments.EngineeringResult,
        base.BaseResult,
        RESULT | {"files_changed": MADE, "commit_sha": None, "branch": None},
    ),
    (
        departments.DeployMessage,
        base.BaseMessage,
        MESSAGE | TASK | {"action": "deploy", "commit": None, "release_id": None},
    ),
    (departments.DeployResult, base.BaseResult, RESULT | {"deployed_url": None, "server_ip": None, "port": None}),
    (
        departments.ScaffolderMessage,
        base.BaseMessage,
        MESSAGE | {"project_id": REQUIRED, "repo_full_name": REQUIRED, "project_name": REQUIRED, "modules": REQUIRED},
    ),
    (
        departments.ProvisionerMessage,
        base.BaseMessage,
        MESSAGE | {"server_handle": REQUIRED, "force_reinstall": False, "is_recovery": False},
    ),
    (
        departments.ProvisionerResult,
        base.BaseResult,
        RESULT | {"server_handle": REQUIRED, "server_ip": None, "services_redeployed": 0, "errors": None},
    ),
    (
        departments.AnsibleDeployMessage,
        base.BaseMessage,
        MESSAGE
        | {"job_type": "deploy", "project_id": REQUIRED, "project_name": REQUIRED, "repo_full_name": REQUIRED}
        | {"server_ip": REQUIRED, "port": REQUIRED, "modules": None}
        | {"github_token_ref": REQUIRED, "secrets_ref": REQUIRED},
    ),
    (
        departments.AnsibleDeployResult,
        base.BaseResult,
        RESULT
        | {"deployed_url": None, "server_ip": None, "port": None, "stdout": None, "stderr": None, "exit_code": None},
    ),
    (
        project_spec.ProjectSpec,
        base.Contract,
        {"version": "1", "name": REQUIRED, "description": "", "modules": MADE, "entry_points": MADE, "data": MADE}
        | {"secrets_required": MADE, "infrastructure": MADE, "acceptance": MADE, "non_goals": MADE},
    ),
    (
        agent_workers.WorkerConfig,
        base.Contract,
        {"name": REQUIRED, "agent": REQUIRED, "capabilities": MADE, "env_vars": MADE, "mount_session_volume": False},
    ),
    (
        agent_workers.CreateWorkerCommand,
        base.QueueMeta,
        COMMAND | {"command": "create", "config": REQUIRED, "context": MADE},
    ),
    (
        agent_workers.SendMessageCommand,
        base.QueueMeta,
        COMMAND | {"command": "send_message", "worker_id": REQUIRED, "message": REQUIRED, "timeout": 1800},
    ),
    (
        agent_workers.SendFileCommand,
        base.QueueMeta,
        COMMAND | {"command": "send_file", "worker_id": REQUIRED, "path": REQUIRED, "content": REQUIRED},
    ),
    (agent_workers.DeleteWorkerCommand, base.QueueMeta, COMMAND | {"command": "delete", "worker_id": REQUIRED}),
    (agent_workers.CreateWorkerResponse, base.Contract, RESPONSE | {"worker_id": None}),
    (agent_workers.SendMessageResponse, base.Contract, RESPONSE | {"response": None}),
    (agent_workers.SendFileResponse, base.Contract, RESPONSE),
    (agent_workers.DeleteWorkerResponse, base.Contract, RESPONSE),
    (
        agent_workers.WorkerLifecycleEvent,
        base.Contract,
        {"worker_id": REQUIRED, "type": REQUIRED, "timestamp": MADE, "detail": None},
    ),
    (
        progress.ProgressEvent,
        base.Contract,
        {"type": REQUIRED, "request_id": REQUIRED, "task_id": None, "timestamp": MADE, "message": None}
        | {"progress_pct": None, "current_step": None, "error": None, "error_type": None},
    ),
]
NAMES = [model.__name__ for model, _, _ in FIXED]


def _default(model: type[BaseModel], name: str) -> object:
    field = model.model_fields[name]
    if field.default_factory is not None:
        return MADE
    return field.default


@pytest.mark.parametrize(("model", "parent", "fields"), FIXED, ids=NAMES)
def test_the_class_has_its_base_fields_and_defaults(
    model: type[BaseModel], parent: type[BaseModel], fields: dict[str, Any]
) -> None:
    assert model.__bases__ == (parent,)
    assert {name: _default(model, name) for name in fields} == fields


@pytest.mark.parametrize(("model", "parent", "fields"), FIXED, ids=NAMES)
def test_what_was_added_is_optional(model: type[BaseModel], parent: type[BaseModel], fields: dict[str, Any]) -> None:
    added = {name for name, field in model.model_fields.items() if field.is_required()} - fields.keys()
    assert not added


@pytest.mark.parametrize("model", [model for model, _, _ in FIXED], ids=NAMES)
def test_unknown_fields_are_rejected_at_the_edge(model: type[BaseModel]) -> None:
    assert model.model_config["extra"] == "forbid"


@pytest.mark.parametrize(
    "name",
    ["ProjectCreate", "ProjectResponse", "ProjectDTO", "TaskDTO", "ServerDTO", "DeploymentDTO", "IncidentDTO"],
)
def test_the_nouns_of_the_api_exist(name: str) -> None:
    assert issubclass(getattr(nouns, name), base.Contract)


def test_a_question_is_a_noun_too() -> None:
    assert issubclass(questions.QuestionDTO, base.Contract)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (ResultStatus, "success failed error"),
        (TaskState, "queued running waiting completed failed cancelled"),
        (
            ProjectStatus,
            "draft scaffolding scaffolded scaffold_failed developing testing deploying active failed archived",
        ),
        (QuestionState, "open answered expired withdrawn"),
        (ReleaseState, "pending building starting probing active superseded rolled_back failed removed"),
        (AgentWorkerState, "creating idle running waiting lost failed deleted"),
        (
            ServerStatus,
            "discovered pending_setup provisioning ready in_use error maintenance reserved force_rebuild missing "
            "decommissioned",
        ),
        (IncidentStatus, "detected recovering resolved failed"),
        (IncidentType, "server_unreachable provisioning_failed service_down resource_exhausted"),
    ],
)
def test_the_states_are_exactly_these(states: Any, expected: str) -> None:
    assert " ".join(states) == expected


def test_the_agents_of_older_programs_are_known() -> None:
    assert {"claude-code", "factory-droid"} <= set(AgentKind)


def test_commands_are_told_apart_by_their_command_field() -> None:
    commands: TypeAdapter[Any] = TypeAdapter(agent_workers.WorkerCommand)
    body = {"command": "delete", "request_id": "r", "worker_id": "w"}
    assert isinstance(commands.validate_python(body), agent_workers.DeleteWorkerCommand)
    assert {one.__name__ for one in get_args(get_args(agent_workers.WorkerCommand)[0])} == {
        "CreateWorkerCommand",
        "SendMessageCommand",
        "SendFileCommand",
        "DeleteWorkerCommand",
    }


def test_made_values_are_ids_and_times_in_utc() -> None:
    first, second = (departments.EngineeringMessage(task_id="t", project_id="p", user_id=1) for _ in range(2))
    assert UUID(first.request_id).version == UUID(first.correlation_id).version == 4
    assert first.request_id != second.request_id
    assert str(first.timestamp.tzinfo) == "UTC"


def test_naive_timestamps_are_refused() -> None:
    with pytest.raises(ValueError, match="timezone"):
        progress.ProgressEvent.model_validate(
            {"type": "started", "request_id": "r", "timestamp": "2026-01-01T00:00:00"}
        )


def test_progress_is_between_0_and_100() -> None:
    for wrong in (-1, 101):
        with pytest.raises(ValueError, match="progress_pct"):
            progress.ProgressEvent(type="progress", request_id="r", progress_pct=wrong)


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_a_model_is_frozen_and_has_a_name_of_its_own(model: type[BaseModel]) -> None:
    assert model.model_config["frozen"] is True
    assert [one.__name__ for one in models()].count(model.__name__) == 1
