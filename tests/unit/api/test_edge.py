"""What the API's description says of refusals, methods and ids."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from api.app import create_app
from contracts.access import UserRemoval
from contracts.base import Actor
from contracts.chat import ChatScreenOpen, ChatScreenUpdate
from contracts.departments import EngineeringMessage
from contracts.nouns import EngineeringStart, ProjectUpdate, ServerCreate, TokenRequest, UserCreate
from runtime.settings import Settings


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    home: Path = tmp_path_factory.mktemp("home")
    return create_app(Settings(home=home), database_url="postgresql+asyncpg://nobody@127.0.0.1:1/none")


def test_every_refusal_is_described_as_a_problem_document(app: FastAPI) -> None:
    described = 0
    for path, operations in app.openapi()["paths"].items():
        for operation in operations.values():
            for status, reply in operation["responses"].items():
                if status[0] in "45":
                    assert list(reply["content"]) == ["application/problem+json"], (path, status)
                    described += 1
    assert described > 80
    assert "HTTPValidationError" not in app.openapi()["components"]["schemas"]


def test_the_end_of_a_stream_is_described(app: FastAPI) -> None:
    replies = app.openapi()["paths"]["/tasks/{task_id}/stream"]["get"]["responses"]
    assert {"200", "204"} <= set(replies)
    assert "content" not in replies["204"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/projects", "GET, POST"),
        ("/projects/p", "DELETE, GET, PATCH"),
        ("/projects/p/secrets/NAME", "DELETE, PUT"),
        ("/users", "GET, POST"),
        ("/tasks/t/cancel", "POST"),
        ("/chat/screens/s", "GET, PATCH, PUT"),
        ("/ui-login", "GET, HEAD, POST"),
    ],
)
async def test_a_refused_method_names_all_that_the_address_has(app: FastAPI, path: str, methods: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        reply = await http.request("TRACE", path)
    assert (reply.status_code, reply.headers["allow"]) == (405, methods)


@pytest.mark.parametrize("value", [True, False, "123", 1.0, 0, -1, 2**52 + 1, None, [1], "1e3", "٣"])
def test_an_id_of_a_person_is_a_number_and_nothing_that_looks_like_one(value: object) -> None:
    for model, rest in (
        (UserCreate, {}),
        (Actor, {"role": "member", "via": "api"}),
        (EngineeringMessage, {"task_id": "t", "project_id": "p"}),
        (ChatScreenOpen, {"bot_id": 1, "chat_id": 2, "language": "en", "wish": "w"}),
    ):
        assert model.model_validate({"user_id": 123, **rest}).user_id == 123  # type: ignore[attr-defined]
        with pytest.raises(ValidationError):
            model.model_validate({"user_id": value, **rest})


@pytest.mark.parametrize(
    ("model", "rest", "field"),
    [
        (TokenRequest, {"project_id": "p", "commands": ["task.show"]}, "ttl_s"),
        (EngineeringStart, {"request_id": "r", "project_id": "p"}, "max_rounds"),
        (ServerCreate, {"handle": "s", "public_ip": "10.0.0.1"}, "ssh_port"),
        (ServerCreate, {"handle": "s", "public_ip": "10.0.0.1"}, "ram_mb"),
        (UserCreate, {"user_id": 1}, "key_ttl_s"),
        (UserRemoval, {}, "hand_over_to"),
        (ChatScreenUpdate, {}, "message_id"),
    ],
)
def test_a_number_of_a_request_is_a_number(model: Any, rest: dict[str, object], field: str) -> None:
    for value in (True, "60", 60.0):
        with pytest.raises(ValidationError):
            model.model_validate({**rest, field: value})


@pytest.mark.parametrize(("model", "field"), [(ProjectUpdate, "archived"), (ChatScreenUpdate, "final")])
def test_yes_and_no_of_a_request_are_true_and_false(model: Any, field: str) -> None:
    for value in (1, 0, "yes", "false"):
        with pytest.raises(ValidationError):
            model.model_validate({field: value})
