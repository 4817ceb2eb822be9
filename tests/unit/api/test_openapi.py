"""The API's description: only models of the contracts, and every route says who may call it."""

from pathlib import Path
from types import NoneType
from typing import get_args

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api import auth
from api.app import create_app
from contracts import (
    acceptance,
    access,
    agent_workers,
    artifacts,
    base,
    chat,
    costs,
    criteria,
    departments,
    maintenance,
    memory,
    models,
    nouns,
    planning,
    progress,
    project_settings,
    project_spec,
    questions,
    retries,
    states,
    steps,
    subjects,
    worker_nouns,
    worker_steps,
)
from contracts.servers import approvals, providers, registry
from contracts.wording import in_words
from runtime.settings import Settings

PUBLIC = {"/health", "/healthz"}
FOR_EVERY_KEY = {"/whoami"}
MODULES = (
    acceptance, memory, planning, approvals, providers, registry,
    access, agent_workers, artifacts, base, chat, costs, criteria, departments, maintenance, models, nouns, progress,
    project_settings, project_spec, questions, retries, states, steps, subjects, worker_nouns, worker_steps,
)  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    home: Path = tmp_path_factory.mktemp("home")
    return create_app(Settings(home=home), database_url="postgresql+asyncpg://nobody@127.0.0.1:1/none")


def routes(app: FastAPI) -> list[APIRoute]:
    found: list[APIRoute] = []
    pending = list(app.router.routes)
    while pending:
        route = pending.pop()
        if isinstance(route, APIRoute):
            found.append(route)
        else:
            pending.extend(getattr(getattr(route, "original_router", None), "routes", []))
    assert len(found) > 40
    return found


def access_rules(route: APIRoute) -> list[auth.Access]:
    rules, pending = [], [route.dependant]
    while pending:
        dependant = pending.pop()
        if isinstance(dependant.call, auth.Access):
            rules.append(dependant.call)
        pending.extend(dependant.dependencies)
    return rules


def test_the_description_uses_only_models_of_the_contracts(app: FastAPI) -> None:
    known = {name for module in MODULES for name in vars(module)}
    used = set(app.openapi()["components"]["schemas"])
    assert used - known == set()
    assert {"Problem", "ProjectCreate", "TaskDTO", "Projection"} <= used


def required(annotation: object) -> object:
    """The model of a body that may be left out, as of one that may not."""
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    return kinds[0] if len(kinds) == 1 else annotation


def test_every_body_and_every_reply_is_a_model_of_the_contracts(app: FastAPI) -> None:
    for route in routes(app):
        bodies = [required(parameter.field_info.annotation) for parameter in route.dependant.body_params]
        for model in [*bodies, route.response_model]:
            if model is None:
                # What Git sends and gets is Git's own, and a picture is none of ours.
                free = route.path.endswith(("/stream", "/metrics")) or route.path.startswith(("/git/", "/pictures/"))
                assert route.status_code == 204 or free, route.path
            else:
                assert isinstance(model, type), route.path
                assert issubclass(model, BaseModel), route.path
                assert model.__module__.startswith("contracts."), route.path


def test_every_route_declares_exactly_one_rule_of_access(app: FastAPI) -> None:
    for route in routes(app):
        rules = access_rules(route)
        if route.path in PUBLIC | FOR_EVERY_KEY:
            assert rules == [], route.path
        elif route.path.startswith("/internal"):
            assert rules == [auth.platform_only], route.path
        else:
            assert len(rules) == 1, route.path


def test_every_command_that_an_agent_may_have_belongs_to_a_route(app: FastAPI) -> None:
    declared = {command for route in routes(app) for rule in access_rules(route) for command in rule.commands}
    assert declared == auth.AGENT_COMMANDS


def patterns(node: object) -> set[str]:
    """Every regular expression in the description."""
    if isinstance(node, dict):
        own = {node["pattern"]} if isinstance(node.get("pattern"), str) else set()
        return own.union(*(patterns(value) for value in node.values()))
    return set().union(*(patterns(value) for value in node)) if isinstance(node, list) else set()


def test_no_one_has_to_read_a_regular_expression(app: FastAPI) -> None:
    found = patterns(app.openapi())
    assert len(found) > 3
    for pattern in found:
        said = in_words({"type": "string_pattern_mismatch", "msg": "…", "ctx": {"pattern": pattern}})
        assert "not allowed here" not in said, f"contracts/wording.py says nothing about {pattern}"
