"""The services that are checked: whether they have started, and how they are started again."""

import json
import select
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

from .http_client import LOOPBACK, NoAnswer, ask

_LOOK_EVERY_S = 0.1
_CONTROL_S = 60.0
_BODY = 300


class NotStarted(Exception):
    """A service does not run as it says in service.yaml; the text says which and why. `key` is the same each time."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def await_start(services: Iterable[Mapping[str, Any]], control: int) -> None:
    """Return once each service answers as its manifest promises. Raises NotStarted when one has ended, or its time
    is over."""
    for service in services:
        deadline = time.monotonic() + service["start_limit_s"]
        while (wrong := _wrong(service)) is not None:
            _refuse_ended(service["name"], control)
            if time.monotonic() > deadline:
                reason = f"service {service['name']} does not start within {service['start_limit_s']:g} s: {wrong}"
                raise NotStarted(f"start:{service['name']}", reason)
            # Nothing tells when a service begins to listen.
            select.select([], [], [], _LOOK_EVERY_S)


def _wrong(service: Mapping[str, Any]) -> str | None:
    path = service["health_path"]
    try:
        answer = ask(service["port"], "GET", path, timeout_s=3.0)
    except NoAnswer as error:
        return f"{path}: {error}"
    if answer.status != 200:
        return f"{path} answers {answer.status} instead of 200: {answer.text[:_BODY]!r}"
    missing = next((part for part in service["health_contains"] if part not in answer.text), None)
    return f"{path} answers without {missing!r}: {answer.text[:_BODY]!r}" if missing else None


def _refuse_ended(name: str, control: int) -> None:
    told = tell(control, "state").get(name, {})
    if told.get("ended") is not None:
        what = "its migration" if told.get("migrating") else f"service {name}"
        raise NotStarted(f"ended:{name}", f"{what} has ended with exit code {told['ended']} before it served")


def tell(control: int, word: str) -> dict[str, Any]:
    """What the program that holds the services answers; empty when it does not."""
    try:
        with closing(socket.create_connection((LOOPBACK, control), timeout=_CONTROL_S)) as connection:
            connection.sendall(f"{word}\n".encode())
            with connection.makefile("rb") as file:
                answer = json.loads(file.readline(100_000) or b"{}")
    except (OSError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}
