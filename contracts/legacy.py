"""The one place where messages of older producers become today's contract models.

Older forms: the body wrapped as `{"data": "<json>"}`; no version, correlation_id or timestamp; `agent_id` for
worker_id; queue names `cli-agent:*`; `github_token` and `secrets` as values; module `telegram`; agents `claude` and
`factory`. A message in today's form passes unchanged.

Every refusal is an OrchestratorError INVALID_INPUT that names fields and rules, never what the message held: a
producer that puts a token into the wrong field must not find it again in a log.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import SecretStr, TypeAdapter, ValidationError

from contracts.agent_workers import (
    CreateWorkerCommand,
    CreateWorkerResponse,
    DeleteWorkerCommand,
    DeleteWorkerResponse,
    SendFileCommand,
    SendFileResponse,
    SendMessageCommand,
    SendMessageResponse,
    TurnOutcome,
    WorkerConfig,
    WorkerLifecycleEvent,
)
from contracts.artifacts import ArtifactRef
from contracts.base import Actor, Contract
from contracts.criteria import Criterion, Proof
from contracts.departments import (
    AnsibleDeployMessage,
    DeployMessage,
    EngineeringMessage,
    ProvisionerMessage,
    ScaffolderMessage,
)
from contracts.errors import ErrorCode, OrchestratorError
from contracts.ids import secret_ref
from contracts.project_spec import Entity, EntityField, EntryPoint, Infrastructure, ProjectSpec, SecretName

QUEUE_ALIASES: Final = {"cli-agent:commands": "worker:commands", "cli-agent:responses": "worker:responses"}
MODULE_ALIASES: Final = {"telegram": "tg_bot"}
AGENT_ALIASES: Final = {"claude": "claude-code", "factory": "factory-droid"}

FORGE_TOKEN: Final = "GITHUB_TOKEN"
"""Name under which a `github_token` value goes into the project's secrets."""

_COMMANDS: Final[dict[str, type[Contract]]] = {
    "create": CreateWorkerCommand,
    "send_message": SendMessageCommand,
    "send_file": SendFileCommand,
    "delete": DeleteWorkerCommand,
}
_RESPONSES: Final[dict[str, type[Contract]]] = {
    "create": CreateWorkerResponse,
    "send_message": SendMessageResponse,
    "send_file": SendFileResponse,
    "delete": DeleteWorkerResponse,
}
_QUEUES: Final[dict[str, type[Contract]]] = {
    "engineering:queue": EngineeringMessage,
    "deploy:queue": DeployMessage,
    "scaffolder:queue": ScaffolderMessage,
    "provisioner:queue": ProvisionerMessage,
    "ansible:deploy:queue": AnsibleDeployMessage,
    "worker:lifecycle": WorkerLifecycleEvent,
}
_MODELS: Final = (*_COMMANDS.values(), *_RESPONSES.values(), *_QUEUES.values())
KNOWN_QUEUES: Final = (*_QUEUES, "worker:commands", "worker:responses", *QUEUE_ALIASES)

_SECRET_NAME: Final[TypeAdapter[str]] = TypeAdapter(SecretName)


@dataclass(frozen=True)
class NormalisedMessage:
    """A message in today's form, and the secret values that it carried, by the reference that took their place.

    The caller stores `captured_secrets` before it does anything else with `message`.
    """

    message: Contract
    queue: str | None = None
    captured_secrets: dict[str, SecretStr] = field(default_factory=dict)


class _Refused(Exception):
    """Carries a text that is safe to show; becomes the OrchestratorError outside of every `except` block."""


def normalise(raw: Mapping[Any, Any] | str | bytes, *, queue: str | None = None) -> NormalisedMessage:
    """Turn one message of any producer into its contract model.

    `queue` is the name it arrived on, old or new; without it the kind is recognised by its fields.

    Raises:
        OrchestratorError: INVALID_INPUT; neither its text nor its details hold values from the message.
    """
    try:
        return _normalise(raw, queue)
    except _Refused as refused:
        reason = str(refused)
    # Outside of the except block: an exception raised inside would carry the parser's error, which quotes its input.
    raise OrchestratorError(ErrorCode.INVALID_INPUT, reason)


def _normalise(raw: Mapping[Any, Any] | str | bytes, queue: str | None) -> NormalisedMessage:
    name = _queue_name(queue)
    body = {key: value for key, value in _body(raw).items() if not (key in _TRACE and value is None)}
    _rename_worker_id(body)
    model = _model(body, name)
    _rename_modules_and_agents(body)
    captured = _capture_secrets(body, model)
    _complete_trace(body, model)
    return NormalisedMessage(message=_validated(model, body), queue=name, captured_secrets=captured)


_TRACE: Final = ("version", "correlation_id", "timestamp")


def _queue_name(queue: str | None) -> str | None:
    if queue is None:
        return None
    name = QUEUE_ALIASES.get(queue, queue)
    if name not in KNOWN_QUEUES:
        raise _Refused(f"Unknown queue. Send to one of: {', '.join(KNOWN_QUEUES)}.")
    return name


# The body and its wrapping


def _body(raw: Mapping[Any, Any] | str | bytes) -> dict[str, Any]:
    outer = _mapping(raw)
    if set(outer) == {"data"}:
        return _mapping(outer["data"])
    return outer


def _mapping(raw: object) -> dict[str, Any]:
    parsed = _parsed(raw) if isinstance(raw, str | bytes) else raw
    if not isinstance(parsed, Mapping):
        raise _Refused("The message is not a JSON object. Send one object, plain or as the text of its `data` field.")
    return {_text(key): value for key, value in parsed.items()}


def _parsed(raw: str | bytes) -> object:
    # ValueError: bad JSON, bad encoding, too many digits. RecursionError: nested too deeply.
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _text(key: object) -> str:
    # Stream clients deliver field names as bytes.
    if isinstance(key, bytes):
        return key.decode("utf-8", "replace")
    if isinstance(key, str):
        return key
    raise _Refused("A field name of the message is not text.")


# Which model


def _model(body: dict[str, Any], queue: str | None) -> type[Contract]:
    if queue == "worker:commands" or (queue is None and isinstance(body.get("command"), str) and "success" not in body):
        return _command(body)
    if queue == "worker:responses" or (queue is None and "success" in body):
        return _response(body)
    if queue is not None:
        return _QUEUES[queue]
    return _recognised(body)


def _command(body: dict[str, Any]) -> type[Contract]:
    command = body.get("command")
    model = _COMMANDS.get(command) if isinstance(command, str) else None
    if model is None:
        raise _Refused(f"`command` must be one of: {', '.join(_COMMANDS)}.")
    return model


def _response(body: dict[str, Any]) -> type[Contract]:
    """Responses have no discriminator: a `command` hint decides, else the field that only one of them has."""
    hint = body.pop("command", None)
    if isinstance(hint, str) and hint in _RESPONSES:
        return _RESPONSES[hint]
    if "worker_id" in body:
        return CreateWorkerResponse
    if "response" in body or "outcome" in body:
        return SendMessageResponse
    return DeleteWorkerResponse


_MARKS: Final[tuple[tuple[frozenset[str], type[Contract]], ...]] = (
    (frozenset({"job_type", "github_token_ref", "secrets_ref", "server_ip"}), AnsibleDeployMessage),
    (frozenset({"server_handle"}), ProvisionerMessage),
    (frozenset({"repo_full_name"}), ScaffolderMessage),
    (frozenset({"worker_id"}), WorkerLifecycleEvent),
    (frozenset({"action", "commit", "release_id", "require_approval"}), DeployMessage),
    (frozenset({"title", "spec", "spec_ref", "reply_to", "agent", "max_rounds"}), EngineeringMessage),
)
"""Fields by which a kind is recognised, the most specific ones first."""


def _recognised(body: dict[str, Any]) -> type[Contract]:
    for marks, model in _MARKS:
        if marks & body.keys():
            return model
    raise _Refused(f"What this message is cannot be seen from its fields. Name its queue: {', '.join(KNOWN_QUEUES)}.")


# Older names


def _rename_worker_id(body: dict[str, Any]) -> None:
    if "agent_id" not in body:
        return
    old = body.pop("agent_id")
    if body.setdefault("worker_id", old) != old:
        raise _Refused("`agent_id` and `worker_id` differ. Send `worker_id` alone.")


def _rename_modules_and_agents(body: dict[str, Any]) -> None:
    _rename_modules(body)
    _rename_agent(body)
    for part in ("spec", "config"):
        if isinstance(body.get(part), Mapping):
            body[part] = dict(body[part])
            _rename_modules(body[part])
            _rename_agent(body[part])


def _rename_modules(holder: dict[str, Any]) -> None:
    modules = holder.get("modules")
    if not isinstance(modules, list):
        return
    renamed = [MODULE_ALIASES.get(module, module) if isinstance(module, str) else module for module in modules]
    # Both names in one list mean one module; only text is compared, so that anything else reaches validation.
    holder["modules"] = [
        module for at, module in enumerate(renamed) if not isinstance(module, str) or module not in renamed[:at]
    ]


def _rename_agent(holder: dict[str, Any]) -> None:
    agent = holder.get("agent")
    if isinstance(agent, str):
        holder["agent"] = AGENT_ALIASES.get(agent, agent)


# Secret values


def _capture_secrets(body: dict[str, Any], model: type[Contract]) -> dict[str, SecretStr]:
    token, secrets = body.pop("github_token", None), body.pop("secrets", None)
    if token is None and secrets is None:
        return {}
    project_id = body.get("project_id")
    if not isinstance(project_id, str):
        raise _Refused("`github_token` and `secrets` need a `project_id` to belong to.")
    captured: dict[str, SecretStr] = {}
    if secrets is not None:
        _capture_all(secrets, project_id, captured)
        _refer(body, model, "secrets_ref", f"secret://projects/{project_id}")
    if token is not None:
        reference = _capture(FORGE_TOKEN, token, project_id, captured)
        _refer(body, model, "github_token_ref", reference)
    return captured


def _capture_all(secrets: object, project_id: str, captured: dict[str, SecretStr]) -> None:
    parsed = _parsed(secrets) if isinstance(secrets, str | bytes) else secrets
    if not isinstance(parsed, Mapping):
        raise _Refused("`secrets` must be an object of names and values.")
    for name, value in parsed.items():
        _capture(_text(name), value, project_id, captured)


def _capture(name: str, value: object, project_id: str, captured: dict[str, SecretStr]) -> str:
    if not _is_secret_name(name):
        raise _Refused("A name in `secrets` is not a variable name: capital letters, digits, underscore, at most 100.")
    if not isinstance(value, str) or not value:
        raise _Refused("`github_token` and every value in `secrets` must be text and not empty.")
    reference = secret_ref(project_id, name)
    if captured.setdefault(reference, SecretStr(value)).get_secret_value() != value:
        raise _Refused(f"`github_token` and `{FORGE_TOKEN}` in `secrets` differ. Send one of them.")
    return reference


def _is_secret_name(name: str) -> bool:
    try:
        _SECRET_NAME.validate_python(name)
    except ValidationError:
        return False
    return True


def _refer(body: dict[str, Any], model: type[Contract], reference_field: str, reference: str) -> None:
    """Only some messages name their references; for the others the project's secrets are enough."""
    if reference_field not in model.model_fields:
        return
    if body.get(reference_field) is not None:
        raise _Refused(f"A value and `{reference_field}` cannot come together. Send the reference alone.")
    body[reference_field] = reference


# Trace and validation


def _complete_trace(body: dict[str, Any], model: type[Contract]) -> None:
    """Without a correlation id the request's own id is the trace: a redelivered message keeps the same one."""
    if "correlation_id" not in model.model_fields or "correlation_id" in body:
        return
    for known in ("request_id", "task_id"):
        if isinstance(body.get(known), str):
            body["correlation_id"] = body[known]
            return


_SAFE_MESSAGES: Final = frozenset(
    {
        "missing",
        "enum",
        "literal_error",
        "list_type",
        "dict_type",
        "model_type",
        "string_type",
        "string_pattern_mismatch",
    }
    | {"string_too_long", "string_too_short", "too_long", "too_short", "int_type", "int_parsing", "bool_type"}
    | {"bool_parsing", "greater_than_equal", "less_than_equal", "timezone_aware"}
)
"""Kinds of validation errors whose text comes from the model alone, never from the input."""

_PARTS: Final[tuple[type[Contract], ...]] = (
    Actor,
    WorkerConfig,
    TurnOutcome,
    ArtifactRef,
    ProjectSpec,
    Entity,
    EntityField,
    EntryPoint,
    Infrastructure,
    Criterion,
    Proof,
)
_FIELD_NAMES: Final = frozenset(name for model in (*_MODELS, *_PARTS) for name in model.model_fields)


def _validated(model: type[Contract], body: dict[str, Any]) -> Contract:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problems = [
            _problem(model, item["type"], item["loc"], item["msg"]) for item in error.errors(include_input=False)
        ]
    shown = "; ".join(dict.fromkeys(problems[:10]))
    raise _Refused(f"This is not a valid {model.__name__}: {shown}.")


def _problem(model: type[Contract], kind: str, location: tuple[int | str, ...], message: str) -> str:
    if kind == "extra_forbidden":
        # The name of an unknown field is the sender's text, so what is allowed is named instead.
        where = _place(location[:-1])
        allowed = f" (known: {', '.join(model.model_fields)})" if len(location) == 1 else ""
        return f"unknown field in {where}{allowed}"
    return f"{_place(location)}: {message if kind in _SAFE_MESSAGES else 'is not valid'}"


def _place(location: tuple[int | str, ...]) -> str:
    known = [str(part) if isinstance(part, int) or part in _FIELD_NAMES else "…" for part in location]
    return "`" + ".".join(known) + "`" if known else "the message"
