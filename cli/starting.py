"""What all `start` commands share: mint the request id, start, say what was started, follow it when asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cli import inputs
from cli.exits import ExitCode

if TYPE_CHECKING:
    from cli.output import Output
    from cli.platform import Platform
    from contracts.nouns import StartedTask
    from contracts.project_spec import ProjectSpec


def request_id(given: str | None) -> str:
    """The caller's own id, or a fresh one: with it a repeated start is the same start."""
    from contracts.base import new_id

    return inputs.identifier(given, "REQUEST id") if given is not None else new_id()


def read_spec(path: Path | None) -> ProjectSpec | None:
    """A ProjectSpec from a JSON file; `-` is standard input."""
    import sys

    from pydantic import ValidationError

    from contracts.project_spec import ProjectSpec

    if path is None:
        return None
    if str(path) == "-":
        content = sys.stdin.read(inputs.MAX_SPEC_BYTES)
    else:
        content = inputs.read_file(path, "The spec", inputs.MAX_SPEC_BYTES)
    try:
        return ProjectSpec.model_validate_json(content)
    except ValidationError as error:
        raise inputs.refuse(f"The spec is not a ProjectSpec. {inputs.explained(error)}") from None


async def start(
    platform: Platform,
    out: Output,
    begin: Callable[[], Awaitable[StartedTask]],
    *,
    watch: bool,
) -> ExitCode:
    """Start by `begin`, print the task, and with `watch` follow it to its end."""
    from cli.watching import appeared, follow

    started = await begin()
    out.document(started)
    out.say(_sentence(started))
    if started.web_url:
        out.say(f"Run: {started.web_url}")
    if not watch:
        out.say(f"Next: orchestrator task watch {started.task_id}")
        return ExitCode.OK
    await appeared(platform.api, started)
    return await follow(platform.api, started.task_id, out)


def _sentence(started: StartedTask) -> str:
    if started.joined:
        return f"Joined {started.task_id}: the same work is already running."
    if started.queued:
        return f"Queued {started.task_id} behind another deploy of this project."
    return f"Started {started.task_id}."
