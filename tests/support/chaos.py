"""Kills parts of a running platform, and counts from outside what came of each delivery.

Nothing here asks the platform whether it did well. Commits are counted with git, releases as directories, agents by
the scripted agent's own log, processes in the process table, the service by its answer. The API is asked only for
what people read there: task rows, milestones, questions.
"""

import asyncio
import json
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import httpx
import psutil

from contracts import ids
from contracts.states import TaskKind
from tests.support.eventually import eventually
from tests.support.stack import FINAL, Said, Stack

PARTS = ("workers", "api", "temporal", "postgres")
UNREACHABLE = 6
"""Exit code of a command that did not reach the platform: it may be repeated with the same ids."""
_MARKER = "ORCHESTRATOR_RUN"
_SUPERVISOR = "activities.adapters.supervise_main"
_SETUP = "-setup"
"""Installing packages is a run of its own, which is forgotten when it has ended."""
_SAID_AGAIN = {"Still working."}


@dataclass(frozen=True)
class Delivery:
    """One wish on its way. Every other name follows from these."""

    project_id: str
    project: str
    task_id: str

    @property
    def engineering(self) -> str:
        return ids.child_task_id(self.task_id, TaskKind.ENGINEERING)

    @property
    def deploy(self) -> str:
        return ids.child_task_id(self.task_id, TaskKind.DEPLOY)

    @property
    def release(self) -> str:
        return ids.release_id_for_task(self.deploy)

    @property
    def slug(self) -> str:
        return ids.project_slug(self.project)

    @property
    def work(self) -> tuple[str, str, str]:
        """How the names of its turns, test runs and playbooks begin."""
        return f"turn-{self.engineering}-", f"test-{self.engineering}-", f"play-{self.release}-"


@dataclass(frozen=True)
class Evidence:
    """What was counted about one delivery."""

    tasks: tuple[str, ...]
    """Kind and state of every task row of the project, sorted."""
    commits: int
    """On `main` of the forge."""
    turns: int
    agent_starts: int
    """Lines of the agent's own log that belong to the turns."""
    release_dirs: tuple[str, ...]
    service_processes: int
    answering: str
    """The release that the URL names, or why there is no answer."""
    milestones: tuple[str, ...]
    repeated: tuple[str, ...]
    """Lines of progress that people see twice."""
    questions: int
    leftovers: tuple[str, ...]
    """Processes and directories of work that has ended."""


Kind = Literal["lost", "doubled", "orphan", "differs"]


@dataclass(frozen=True)
class Finding:
    kind: Kind
    what: str


def judge(seen: Evidence, unkilled: Evidence, release: str) -> list[Finding]:
    """What is wrong with a delivery, compared with one that nobody disturbed; empty when nothing is."""
    found = [Finding("doubled", f"shown twice: {line}") for line in seen.repeated]
    found += [Finding("orphan", left) for left in seen.leftovers]
    for what, now, then in (
        ("commits on main", seen.commits, unkilled.commits),
        ("agent runs per turn", seen.agent_starts, seen.turns),
        ("turns", seen.turns, unkilled.turns),
        ("task rows", len(seen.tasks), len(unkilled.tasks)),
        ("release directories", len(seen.release_dirs), 1),
        ("service processes", seen.service_processes, unkilled.service_processes),
        ("milestones", len(seen.milestones), len(unkilled.milestones)),
    ):
        if now != then:
            found.append(Finding("doubled" if now > then else "lost", f"{what}: {now} instead of {then}"))
    if seen.answering != release:
        found.append(Finding("lost", f"the URL answers with {seen.answering} instead of {release}"))
    if seen.release_dirs not in {(), (release,)}:
        found.append(Finding("differs", f"release directories {seen.release_dirs} instead of {release}"))
    if seen.questions:
        found.append(Finding("differs", f"{seen.questions} open questions"))
    for what, mine, other in (
        ("tasks", seen.tasks, unkilled.tasks),
        ("milestones", seen.milestones, unkilled.milestones),
    ):
        if mine != other:
            found.append(Finding("differs", f"{what}: {_difference(mine, other)}"))
    return found


def _difference(mine: tuple[str, ...], other: tuple[str, ...]) -> str:
    more, less = Counter(mine) - Counter(other), Counter(other) - Counter(mine)
    return (
        f"too many {sorted(more.elements())}, missing {sorted(less.elements())}" if more or less else "in another order"
    )


# Starting and waiting -----------------------------------------------------------------------------------------------


async def deliver(stack: Stack, sentence: str, timeout: float = 120) -> Delivery:
    """Start a delivery as a patient person would: a command that did not reach the platform is repeated."""
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
    """The task once it has ended; an API that is away is asked again."""

    async def ended() -> dict[str, Any] | None:
        task = await _asked(stack, f"/tasks/{task_id}")
        return task if task is not None and task["state"] in FINAL else None

    found: dict[str, Any] | None = await eventually(ended, timeout, interval=0.2, message=f"the end of {task_id}")
    assert found is not None
    return found


async def _asked(stack: Stack, path: str) -> dict[str, Any] | None:
    """The API's answer; None while the platform is away."""
    try:
        async with stack.http() as http:
            answer = await http.get(path)
    except httpx.TransportError:
        return None
    if answer.status_code >= 500:
        return None
    answer.raise_for_status()
    return dict(answer.json())


async def running(stack: Stack, prefix: str, timeout: float = 60) -> str:
    """Wait for a supervised run whose name begins so; returns the identity of exactly this run."""

    def found() -> str | None:
        return next((identity for identity, state in _runs(stack, prefix) if state == "running"), None)

    identity = await eventually(found, timeout, interval=0.02, message=f"a run {prefix}*")
    assert identity is not None
    return identity


def runs(stack: Stack, prefix: str) -> list[str]:
    """Identities of all runs, ended ones too: the same run keeps its identity."""
    return [identity for identity, _ in _runs(stack, prefix)]


def _runs(stack: Stack, prefix: str) -> Iterator[tuple[str, str]]:
    for file in sorted((stack.home / "runs").glob(f"{prefix}*/status.json")):
        try:
            record = json.loads(file.read_text())
        except FileNotFoundError:
            continue
        if not record["name"].endswith(_SETUP):
            yield f"{record['name']}:{record['instance']}", record["state"]


# Killing ------------------------------------------------------------------------------------------------------------


async def kill(stack: Stack, part: str, timeout: float = 90) -> float:
    """SIGKILL a part; returns after how many seconds its successor did its work."""
    clock = asyncio.get_running_loop().time
    pid, began = stack.pid_of(part), clock()
    os.kill(pid, signal.SIGKILL)
    _: bool = await eventually(lambda: _successor(stack, part, pid), timeout, message=f"{part} works again")
    return clock() - began


async def _successor(stack: Stack, part: str, killed: int) -> bool:
    try:
        pid = stack.pid_of(part)
    except (FileNotFoundError, ValueError):
        return False
    if pid == killed:
        return False
    if part == "workers":
        ready = stack.home / "processes" / "workers.ready"
        return ready.exists() and ready.read_text().strip() == str(pid)
    health = await _asked(stack, "/health")
    return health is not None and bool(health["database"]) and bool(health["temporal"])


# Counting -----------------------------------------------------------------------------------------------------------


async def gather_evidence(stack: Stack, delivery: Delivery) -> Evidence:
    """Count everything about a delivery that has ended."""
    task_rows = (await _needed(stack, f"/tasks?project_id={delivery.project_id}"))["items"]
    questions = (await _needed(stack, f"/questions?project_id={delivery.project_id}&state=open"))["items"]
    events = [
        one
        for row in sorted(task_rows, key=_kind)
        for one in (await _needed(stack, f"/tasks/{row['id']}/events"))["items"]
    ]
    sessions = _sessions(stack, delivery)
    return Evidence(
        tasks=tuple(sorted(f"{row['kind']} {row['state']}" for row in task_rows)),
        commits=await _commits(stack.home / "forge" / "u1" / f"{delivery.project}.git"),
        turns=len(runs(stack, delivery.work[0])),
        agent_starts=sum(1 for run in stack.agent_runs() if run["event"] == "start" and run["session"] in sessions),
        release_dirs=_names(stack.home / "services" / delivery.slug / "releases"),
        service_processes=len(_processes_of(stack, f"svc-{delivery.slug}-")),
        answering=await _answering(task_rows),
        milestones=tuple(_milestone(one) for one in events if one["grain"] == "milestone"),
        repeated=_repeated_lines(events),
        questions=len(questions),
        leftovers=leftovers(stack, delivery),
    )


def leftovers(stack: Stack, delivery: Delivery) -> tuple[str, ...]:
    """What work that has ended must not leave: processes, supervisors, clean copies, the agent's workspace."""
    processes = {name for prefix in delivery.work for name in _processes_of(stack, prefix, supervisors=True).values()}
    candidates = _processes_of(stack, f"svc-{delivery.slug}-backend-cand-", supervisors=True).values()
    places = [*stack.home.glob(f"verifications/test-{delivery.engineering}-*")]
    places += stack.home.glob(f"agents/workspaces/{delivery.engineering}*")
    return tuple(sorted({*processes, *candidates, *(str(one.relative_to(stack.home)) for one in places)}))


def unclaimed_agents(stack: Stack) -> list[str]:
    """Agents that the agent's own log knows and no turn does: somebody started them a second time."""
    known = {str(json.loads(file.read_text())["pid"]) for file in (stack.home / "runs").glob("turn-*/status.json")}
    return [
        f"agent {run['pid']}" for run in stack.agent_runs() if run["event"] == "start" and str(run["pid"]) not in known
    ]


async def _needed(stack: Stack, path: str) -> dict[str, Any]:
    found: dict[str, Any] | None = await eventually(lambda: _asked(stack, path), 30, message=path)
    assert found is not None
    return found


async def _commits(repository: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        "git", "-c", "safe.directory=*", f"--git-dir={repository}", "rev-list", "--count", "main",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await process.communicate()
    return int(out) if process.returncode == 0 else 0


def _sessions(stack: Stack, delivery: Delivery) -> set[str]:
    """The sessions that the agents of this delivery named in their output."""
    transcripts = (stack.home / "runs").glob(f"{delivery.work[0]}*/output.log")
    found = (re.findall(r'"session_id": "([^"]+)"', file.read_text(errors="replace")) for file in transcripts)
    return {session for sessions in found for session in sessions}


def _names(directory: Path) -> tuple[str, ...]:
    return tuple(sorted(one.name for one in directory.iterdir())) if directory.is_dir() else ()


def _processes_of(stack: Stack, prefix: str, *, supervisors: bool = False) -> dict[int, str]:
    """Living processes of the runs whose name begins so, by pid: by their mark, supervisors by their arguments."""
    found = {}
    for process in psutil.process_iter(["cmdline", "environ", "status"]):
        if process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        run = (process.info["environ"] or {}).get(_MARKER, "").rpartition(":")[0]
        arguments = process.info["cmdline"] or []
        if supervisors and not run and _SUPERVISOR in arguments:
            directory = Path(arguments[arguments.index(_SUPERVISOR) + 1])
            run = directory.name if directory.parent == stack.home / "runs" else ""
        if run.startswith(prefix):
            found[process.pid] = run
    return found


async def _answering(task_rows: list[dict[str, Any]]) -> str:
    url = next((row["result"].get("deployed_url") for row in task_rows if row["kind"] == TaskKind.DELIVERY), None)
    if url is None:
        return "no URL"
    try:
        async with httpx.AsyncClient() as visitor:
            answer = await visitor.get(f"{url}/health")
        return str(answer.json().get("release")) if answer.status_code == 200 else f"HTTP {answer.status_code}"
    except (httpx.TransportError, ValueError) as error:
        return f"no answer ({type(error).__name__})"


def _kind(row: dict[str, Any]) -> str:
    return str(row["kind"])


def _milestone(streamed: dict[str, Any]) -> str:
    event = streamed["event"]
    return f"{streamed['task_id'].partition('-')[0]} {event['type']} {event['current_step']}"


def _repeated_lines(events: list[dict[str, Any]]) -> tuple[str, ...]:
    lines = Counter(
        (one["task_id"], one["grain"], one["event"]["current_step"], one["event"]["message"])
        for one in events
        if one["event"]["message"] not in _SAID_AGAIN
    )
    return tuple(sorted(" ".join(map(str, line)) for line, count in lines.items() if count > 1))
