"""Starting a delivery as a patient person would, waiting for moments of it, and counting what came of it."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from contracts.states import TaskKind
from tests.support.eventually import eventually
from tests.support.kills.judging import Delivery, Evidence
from tests.support.kills.traces import Traces, begun_again
from tests.support.outside import Outside
from tests.support.stack import FINAL, Said, Stack

UNREACHABLE = 6
"""Exit code of a command that did not reach the platform: it may be repeated with the same ids."""
_SAID_AGAIN = {"Still working."}


async def deliver(stack: Stack, sentence: str, timeout: float = 120) -> Delivery:
    """A command that did not reach the platform is repeated with the same ids."""
    project, project_id, request = f"p{uuid4().hex[:8]}", str(uuid4()), f"chaos-{uuid4().hex}"
    await _repeated(stack, ("project", "create", project, "--id", project_id), timeout)
    said = await _repeated(
        stack, ("delivery", "start", "--project", project_id, "--request-id", request, sentence), timeout
    )
    return Delivery(project_id, project, said.json["task_id"])


async def _repeated(stack: Stack, arguments: tuple[str, ...], timeout: float) -> Said:
    async def accepted() -> Said | None:
        said = await stack.cli(*arguments, "--json")
        if said.code == UNREACHABLE:
            return None
        if said.code != 0:
            raise RuntimeError(f"{arguments} ended with {said.code}: {said.out}{said.err}")
        return said

    found: Said | None = await eventually(
        accepted, timeout, interval=0.5, message=f"the platform taking {arguments[:2]}"
    )
    assert found is not None
    return found


async def end_of(stack: Stack, task_id: str, timeout: float) -> dict[str, Any]:
    """The task once it has ended; an unavailable API is asked again."""

    async def ended() -> dict[str, Any] | None:
        task = await asked(stack, f"/tasks/{task_id}")
        return task if task is not None and task["state"] in FINAL else None

    found: dict[str, Any] | None = await eventually(ended, timeout, interval=0.2, message=f"the end of {task_id}")
    assert found is not None
    return found


async def at_stage(stack: Stack, task_id: str, stages: set[str], timeout: float) -> None:
    """Wait until a task, which need not exist yet, is in one of the stages."""

    async def there() -> bool:
        task = await asked(stack, f"/tasks/{task_id}", missing=True)
        if task is not None and task["state"] in FINAL and task["stage"] not in stages:
            # No AssertionError, which would count as "not yet".
            raise RuntimeError(f"{task_id} ended before {stages}: {task}")
        return task is not None and task["stage"] in stages

    _: bool = await eventually(there, timeout, interval=0.05, message=f"{task_id} in {stages}")


async def running(traces: Traces, prefix: str, timeout: float) -> str:
    """Wait for a run whose name begins so; returns the identity of exactly this run."""

    def found() -> str | None:
        return next((run.identity for run in traces.runs(prefix) if run.running), None)

    identity = await eventually(found, timeout, interval=0.05, message=f"a run {prefix}*")
    assert identity is not None
    return identity


async def asked(stack: Stack, path: str, *, missing: bool = False) -> dict[str, Any] | None:
    """The API's answer; None while the platform is unavailable, and with `missing` for what does not exist yet."""
    try:
        async with stack.http() as http:
            answer = await http.get(path)
    except httpx.TransportError:
        return None
    if answer.status_code >= 500 or (missing and answer.status_code == 404):
        return None
    answer.raise_for_status()
    return dict(answer.json())


async def gather_evidence(traces: Traces, delivery: Delivery, *, engine_killed: bool = False) -> Evidence:
    """Count everything about a delivery that has ended. Every part must be there.

    With `engine_killed`, tests whose end Docker lost may have run once more.
    """
    stack = traces.stack
    task_rows = (await _needed(stack, f"/tasks?project_id={delivery.project_id}"))["items"]
    questions = (await _needed(stack, f"/questions?project_id={delivery.project_id}&state=open"))["items"]
    events = [
        one
        for row in sorted(task_rows, key=_kind)
        for one in (await _needed(stack, f"/tasks/{row['id']}/events"))["items"]
    ]
    deployed = await asyncio.to_thread(traces.deployed, delivery)
    return Evidence(
        tasks=tuple(sorted(f"{row['kind']} {row['state']}" for row in task_rows)),
        commits=await _commits(Outside(stack, delivery.project).repository),
        turns=len({run.name for run in traces.runs(delivery.work[0])}),
        agent_starts=await asyncio.to_thread(traces.agent_starts, delivery),
        begun_again=tuple(
            name for name in begun_again(traces, delivery) if not (engine_killed and was_cut_short(stack, name))
        ),
        release_dirs=deployed.release_dirs,
        release_images=deployed.release_images,
        services=deployed.services,
        answering=await _answering(task_rows),
        milestones=tuple(_milestone(one) for one in events if one["grain"] == "milestone"),
        repeated=_repeated_lines(events),
        questions=len(questions),
        leftovers=tuple(sorted({*deployed.orphans, *await asyncio.to_thread(traces.leftovers, delivery)})),
    )


async def serves(stack: Stack, delivery: Delivery) -> bool:
    """Whether the URL of a delivery that has ended names its release."""
    task = await asked(stack, f"/tasks/{delivery.task_id}")
    return task is not None and await _answering([task]) == delivery.release


def was_cut_short(stack: Stack, tests: str) -> bool:
    """Docker lost what they had printed while its daemon was down, so they were run once more, on purpose."""
    return (stack.home / "containers" / "verifications" / f"{tests}.cut-short").exists()


async def _needed(stack: Stack, path: str) -> dict[str, Any]:
    found: dict[str, Any] | None = await eventually(lambda: asked(stack, path), 30, message=path)
    assert found is not None
    return found


async def _commits(repository: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        "git", "-c", "safe.directory=*", f"--git-dir={repository}", "rev-list", "--count", "main",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await process.communicate()
    return int(out) if process.returncode == 0 else 0


async def _answering(task_rows: list[dict[str, Any]]) -> str:
    url = next((row["result"].get("deployed_url") for row in task_rows if row["kind"] == TaskKind.DELIVERY), None)
    if url is None:
        return "no URL"
    try:
        async with httpx.AsyncClient(trust_env=False) as visitor:
            answer = await visitor.get(f"{url}/health")
        return str(answer.json().get("release")) if answer.status_code == 200 else f"HTTP {answer.status_code}"
    except (httpx.TransportError, ValueError) as error:
        return f"no answer ({type(error).__name__})"


def _kind(row: dict[str, Any]) -> str:
    return str(row["kind"])


def _milestone(streamed: dict[str, Any]) -> str:
    event = streamed["event"]
    return f"{streamed['kind']} {event['type']} {event['current_step']}"


def _repeated_lines(events: list[dict[str, Any]]) -> tuple[str, ...]:
    lines = Counter(
        (one["task_id"], one["grain"], one["event"]["current_step"], one["event"]["message"])
        for one in events
        if one["event"]["message"] not in _SAID_AGAIN
    )
    return tuple(sorted(" ".join(map(str, line)) for line, count in lines.items() if count > 1))
