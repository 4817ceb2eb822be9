"""Messages of older producers become today's models in one place, and no refusal repeats what it was sent."""

import json
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.agent_workers import (
    CreateWorkerCommand,
    CreateWorkerResponse,
    DeleteWorkerCommand,
    DeleteWorkerResponse,
    SendMessageCommand,
    SendMessageResponse,
    WorkerLifecycleEvent,
)
from contracts.departments import (
    AnsibleDeployMessage,
    DeployMessage,
    EngineeringMessage,
    ProvisionerMessage,
    ScaffolderMessage,
)
from contracts.errors import ErrorCode, OrchestratorError
from contracts.legacy import KNOWN_QUEUES, NormalisedMessage, normalise
from contracts.states import AgentKind, Module

ENGINEERING = {"task_id": "eng-1", "project_id": "p-1", "user_id": 42}
ANSIBLE = {
    "job_type": "deploy",
    "project_id": "p-1",
    "project_name": "blog",
    "repo_full_name": "acme/blog",
    "server_ip": "10.0.0.5",
    "port": 8080,
}
CREATE = {"command": "create", "request_id": "r-1", "config": {"name": "dev", "agent": "claude"}}
PLANTED = "ghp_planted_value_that_must_not_leak"


@pytest.mark.parametrize(
    "raw",
    [
        ENGINEERING,
        json.dumps(ENGINEERING),
        json.dumps(ENGINEERING).encode(),
        {"data": json.dumps(ENGINEERING)},
        {b"data": json.dumps(ENGINEERING).encode()},
        {"data": ENGINEERING},
        json.dumps({"data": json.dumps(ENGINEERING)}),
        ENGINEERING | {"version": None, "correlation_id": None, "timestamp": None},
    ],
)
def test_the_body_is_read_plain_and_wrapped(raw: Any) -> None:
    message = normalise(raw, queue="engineering:queue").message
    assert isinstance(message, EngineeringMessage)
    assert (message.task_id, message.project_id, message.user_id) == ("eng-1", "p-1", 42)
    assert message.version == "1"
    assert message.timestamp.utcoffset() is not None


def test_a_redelivered_message_without_a_correlation_id_keeps_the_same_trace() -> None:
    first, second = (normalise(ENGINEERING, queue="engineering:queue").message for _ in range(2))
    assert isinstance(first, EngineeringMessage)
    assert isinstance(second, EngineeringMessage)
    assert first.correlation_id == second.correlation_id == "eng-1"


def test_a_message_in_todays_form_passes_unchanged() -> None:
    today = EngineeringMessage(task_id="eng-1", project_id="p-1", user_id=42, title="Blog")
    assert normalise(today.model_dump(mode="json"), queue="engineering:queue").message == today


@pytest.mark.parametrize(
    ("body", "queue", "model"),
    [
        (ENGINEERING, "engineering:queue", EngineeringMessage),
        (ENGINEERING, "deploy:queue", DeployMessage),
        (ENGINEERING | {"title": "Blog"}, None, EngineeringMessage),
        (ENGINEERING | {"action": "rollback"}, None, DeployMessage),
        ({"server_handle": "srv-1"}, "provisioner:queue", ProvisionerMessage),
        ({"server_handle": "srv-1"}, None, ProvisionerMessage),
        (
            {"project_id": "p", "repo_full_name": "a/b", "project_name": "b", "modules": ["backend"]},
            None,
            ScaffolderMessage,
        ),
        (ANSIBLE | {"github_token_ref": "secret://a", "secrets_ref": "secret://b"}, None, AnsibleDeployMessage),
        (CREATE, "cli-agent:commands", CreateWorkerCommand),
        (CREATE, "worker:commands", CreateWorkerCommand),
        (CREATE, None, CreateWorkerCommand),
        (
            {"command": "send_message", "request_id": "r", "agent_id": "w-1", "message": "hi"},
            "cli-agent:commands",
            SendMessageCommand,
        ),
        ({"command": "delete", "request_id": "r", "agent_id": "w-1"}, "cli-agent:commands", DeleteWorkerCommand),
        ({"request_id": "r", "success": True, "agent_id": "w-1"}, "cli-agent:responses", CreateWorkerResponse),
        ({"request_id": "r", "success": True, "response": "done"}, "cli-agent:responses", SendMessageResponse),
        ({"request_id": "r", "success": False, "error": "no"}, "worker:responses", DeleteWorkerResponse),
        (
            {"request_id": "r", "success": False, "error": "no", "command": "create"},
            "worker:responses",
            CreateWorkerResponse,
        ),
        ({"agent_id": "w-1", "type": "started"}, "worker:lifecycle", WorkerLifecycleEvent),
    ],
)
def test_each_queue_and_shape_becomes_its_model(body: dict[str, Any], queue: str | None, model: type) -> None:
    assert type(normalise(body, queue=queue).message) is model


def test_old_queue_names_are_answered_with_todays() -> None:
    assert normalise(CREATE, queue="cli-agent:commands").queue == "worker:commands"


def test_agent_id_means_worker_id_and_the_old_timeout_stays_1800_seconds() -> None:
    body = {"command": "send_message", "request_id": "r", "agent_id": "w-1", "message": "hi"}
    message = normalise(body, queue="cli-agent:commands").message
    assert isinstance(message, SendMessageCommand)
    assert (message.worker_id, message.timeout) == ("w-1", 1800)


def test_two_different_worker_ids_are_refused() -> None:
    body = {"command": "delete", "request_id": "r", "agent_id": "w-1", "worker_id": "w-2"}
    with pytest.raises(OrchestratorError, match="differ"):
        normalise(body)


@pytest.mark.parametrize(("old", "new"), [("claude", AgentKind.CLAUDE_CODE), ("factory", AgentKind.FACTORY_DROID)])
def test_old_agent_names_mean_todays_agents(old: str, new: AgentKind) -> None:
    message = normalise(CREATE | {"config": {"name": "dev", "agent": old}}).message
    assert isinstance(message, CreateWorkerCommand)
    assert message.config.agent is new


def test_the_module_telegram_is_the_templates_tg_bot() -> None:
    spec = {"name": "blog", "modules": ["telegram", "tg_bot", "backend"]}
    engineering = normalise(ENGINEERING | {"spec": spec}, queue="engineering:queue").message
    assert isinstance(engineering, EngineeringMessage)
    assert engineering.spec is not None
    assert engineering.spec.modules == [Module.TG_BOT, Module.BACKEND]
    ansible = normalise(
        ANSIBLE | {"github_token_ref": "secret://a", "secrets_ref": "secret://b", "modules": ["telegram"]}
    ).message
    assert isinstance(ansible, AnsibleDeployMessage)
    assert ansible.modules == ["tg_bot"]


def test_the_callers_own_message_is_not_changed() -> None:
    raw = CREATE | {"config": {"name": "dev", "agent": "claude"}}
    normalise(raw)
    assert raw["config"] == {"name": "dev", "agent": "claude"}


# Secrets


def test_secret_values_are_captured_and_references_take_their_place() -> None:
    body = ANSIBLE | {"github_token": PLANTED, "secrets": {"BOT_TOKEN": "12:abc"}}
    normalised = normalise({"data": json.dumps(body)}, queue="ansible:deploy:queue")
    message = normalised.message
    assert isinstance(message, AnsibleDeployMessage)
    assert message.github_token_ref == "secret://projects/p-1/GITHUB_TOKEN"
    assert message.secrets_ref == "secret://projects/p-1"
    values = {ref: value.get_secret_value() for ref, value in normalised.captured_secrets.items()}
    assert values == {message.github_token_ref: PLANTED, "secret://projects/p-1/BOT_TOKEN": "12:abc"}
    _assert_unseen(PLANTED, normalised)


def test_secrets_of_a_deploy_message_are_captured_although_it_names_no_reference() -> None:
    normalised = normalise(ENGINEERING | {"secrets": {"BOT_TOKEN": PLANTED}}, queue="deploy:queue")
    assert list(normalised.captured_secrets) == ["secret://projects/p-1/BOT_TOKEN"]
    _assert_unseen(PLANTED, normalised)


@pytest.mark.parametrize(
    "body",
    [
        ANSIBLE | {"github_token": {"nested": PLANTED}, "secrets": {}},
        ANSIBLE | {"github_token": "x", "secrets": PLANTED},
        ANSIBLE | {"github_token": "x", "secrets": [PLANTED]},
        ANSIBLE | {"github_token": "x", "secrets": {PLANTED: "x"}},
        ANSIBLE | {"github_token": PLANTED, "secrets": {"GITHUB_TOKEN": "another"}},
        ANSIBLE | {"github_token": PLANTED, "github_token_ref": "secret://a", "secrets": {}},
        ANSIBLE | {"github_token_ref": PLANTED, "secrets_ref": PLANTED},
        ANSIBLE | {"github_token": "x", "secrets": {}, "port": PLANTED},
        ANSIBLE | {"github_token": "x", "secrets": {}, PLANTED: "x"},
        ENGINEERING | {"title": [PLANTED]},
        ENGINEERING | {"spec": {"name": "blog", PLANTED: 1}},
        ENGINEERING | {"timestamp": PLANTED, "title": "t"},
        CREATE | {"config": {"name": "dev", "agent": PLANTED}},
        CREATE | {"config": {"name": "dev", "agent": "claude", "env_vars": {PLANTED: 3}}},
        {"command": PLANTED},
        {"github_token": PLANTED, "server_handle": "srv-1"},
        "{" + PLANTED,
        {"data": PLANTED},
        PLANTED.encode() + b"\xff",
    ],
)
def test_a_refusal_repeats_nothing_that_was_sent(body: Any) -> None:
    with pytest.raises(OrchestratorError) as refused:
        normalise(body)
    error = refused.value
    assert error.code is ErrorCode.INVALID_INPUT
    assert error.__cause__ is None
    assert error.__context__ is None
    _assert_unseen(PLANTED, error, error.message, error.details)


def _assert_unseen(secret: str, *places: object) -> None:
    for place in places:
        assert secret not in repr(place)
        assert secret not in str(place)
        if isinstance(place, NormalisedMessage):
            assert secret not in place.message.model_dump_json()
        if isinstance(place, BaseException):
            assert secret not in "".join(traceback.format_exception(place))


@pytest.mark.parametrize("queue", ["", "no:such:queue", PLANTED])
def test_an_unknown_queue_is_refused_with_the_known_ones(queue: str) -> None:
    with pytest.raises(OrchestratorError, match="engineering:queue") as refused:
        normalise(ENGINEERING, queue=queue)
    _assert_unseen(PLANTED, refused.value)


def test_a_message_that_could_be_two_kinds_asks_for_its_queue() -> None:
    with pytest.raises(OrchestratorError, match="Name its queue"):
        normalise(ENGINEERING)


def test_a_refusal_names_the_field_and_the_rule() -> None:
    with pytest.raises(OrchestratorError, match=r"`port`: Input should be less than or equal to 65535"):
        normalise(ANSIBLE | {"github_token": "x", "secrets": {}, "port": 70_000})
    with pytest.raises(OrchestratorError, match=r"unknown field in the message \(known: .*task_id"):
        normalise(ENGINEERING | {"unheard_of": 1}, queue="engineering:queue")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_FIELDS = st.sampled_from(
    sorted(EngineeringMessage.model_fields | AnsibleDeployMessage.model_fields | SendMessageCommand.model_fields)
) | st.sampled_from(["data", "agent_id", "agent", "config", "secrets", "github_token", "success", "server_handle"])
_QUEUE = st.none() | st.sampled_from(KNOWN_QUEUES) | st.text(max_size=10)


@given(
    raw=st.dictionaries(_FIELDS, _JSON, max_size=8)
    | st.dictionaries(st.binary(max_size=4) | st.integers() | st.text(max_size=5), _JSON, max_size=3)
    | st.text(max_size=60)
    | st.binary(max_size=60)
    | _JSON.map(json.dumps),
    queue=_QUEUE,
)
def test_whatever_arrives_is_a_message_or_one_kind_of_error(raw: Any, queue: str | None) -> None:
    try:
        outcome: object = normalise(raw, queue=queue)
    except OrchestratorError as error:
        outcome = error.code
    assert isinstance(outcome, NormalisedMessage) or outcome is ErrorCode.INVALID_INPUT


@given(
    secret=st.text(alphabet="abcdefghijkmnopqrstuvwxyz0123456789", min_size=24, max_size=40),
    places=st.sets(st.sampled_from(["github_token", "secrets", "port", "unknown", "server_ip_list"]), min_size=1),
    queue=st.sampled_from(["ansible:deploy:queue", None]),
)
def test_a_planted_secret_is_seen_nowhere_but_in_the_capture(secret: str, places: set[str], queue: str | None) -> None:
    values: dict[str, Any] = {
        "github_token": secret,
        "secrets": {"BOT_TOKEN": secret},
        "port": secret,
        "unknown": {"x": secret},
        "server_ip_list": [secret],
    }
    body = ANSIBLE | {"github_token": "t", "secrets": {}} | {place: values[place] for place in places}
    try:
        _assert_unseen(secret, normalise({"data": json.dumps(body)}, queue=queue))
    except OrchestratorError as error:
        _assert_unseen(secret, error)


def test_a_deeply_nested_message_is_refused() -> None:
    with pytest.raises(OrchestratorError):
        normalise("[" * 100_000)
