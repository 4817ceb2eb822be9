"""A payload proves who has sent it. So nothing of a workflow may be done without one: each message has an argument."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, cast

import pytest
from temporalio import activity, workflow

from tests.contract.test_import_rules import PACKAGES, ROOT
from workers.wiring import WORKFLOWS, Ports, build_activities, build_langgraph_plugin

CONNECTS = {
    "runtime/temporal/client.py": "with the key ring",
    "runtime/embedded/dev_server.py": "asks whether the server is healthy, and reads no payload",
}


def _handlers() -> list[tuple[str, Callable[..., Any]]]:
    found = []
    for cls in WORKFLOWS:
        definition = workflow._Definition.must_from_class(cls)
        messages = [*definition.signals.items(), *definition.updates.items()]
        found += [(f"{definition.name}: {name}", message.fn) for name, message in messages]
        found.append((f"{definition.name}: start", definition.run_fn))
    return found


def _steps() -> list[tuple[str, Callable[..., Any]]]:
    nothing = cast(Any, None)
    ports = Ports(*[nothing] * len(fields(Ports)))
    plugin = build_langgraph_plugin(ports)
    return [
        (str(definition.name), definition.fn)
        for step in [*build_activities(ports), *plugin.activities]
        if (definition := activity._Definition.from_callable(step)) is not None
    ]


@pytest.mark.parametrize(
    ("name", "function"),
    [pytest.param(name, function, id=name) for name, function in (*_handlers(), *_steps())],
)
def test_nothing_is_done_without_a_payload(name: str, function: Callable[..., Any]) -> None:
    parameters = [each for each in inspect.signature(function).parameters.values() if each.name != "self"]
    needed = [each for each in parameters if each.default is inspect.Parameter.empty]
    assert needed, f"{name} would be done for anybody who reaches Temporal: give it a message"


@pytest.mark.parametrize("package", sorted({*PACKAGES} - {"benchmarks", "emulators"}))
def test_who_connects_to_temporal_does_so_with_the_key_ring(package: str) -> None:
    places = {
        str(path.relative_to(ROOT))
        for path in (ROOT / package).rglob("*.py")
        if any(_connects(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert places <= set(CONNECTS), "use runtime.temporal.client.connect: it refuses what is not authentic"


def _connects(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node) == "Client.connect"
