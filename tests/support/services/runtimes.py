"""The two runtimes behind the same ports, for tests that must hold for both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import psutil
import pytest

from activities.adapters.agents.scripted_cli import ScriptedAgent
from activities.adapters.containers.agent import DockerAgentRuntime
from activities.adapters.containers.engine import DockerContainerEngine, obstacle
from activities.adapters.containers.images import BASE_IMAGE, DockerImages
from activities.adapters.containers.runs import ContainerRuns
from activities.adapters.containers.tester import DockerTester
from activities.adapters.containers.workspaces import WORKER_LABEL, DockerWorkspaces
from activities.adapters.forge.local import LocalBareForge
from activities.adapters.forge.scaffold import CopierScaffolder
from activities.adapters.process.agent import ProcessAgentRuntime
from activities.adapters.process.tester import ProcessTester
from activities.adapters.process.workspaces import LocalWorkspaces
from activities.adapters.runs.supervisor import Supervisor
from activities.adapters.runs.users import UnprivilegedUsers
from activities.ports import AgentRuntime, Follow, Tester, Workspaces
from contracts.agent_workers import TurnOutcome
from contracts.progress import FineEvent
from contracts.states import AgentKind
from contracts.steps import (
    TurnRequest,
    VerificationRequest,
    VerificationResult,
    WorkspaceFile,
    WorkspacePush,
    WorkspaceReady,
    WorkspaceRequest,
)
from runtime.artifacts import DirectoryArtifactStore

IN_CI = os.environ.get("CI", "").lower() in {"true", "1"}
REPOSITORY = "u1/thing"
BRANCH = "task/eng-1"
MAKEFILE = "setup check:\n\t@true\ntest:\n\t@{}\n"
ONCE = "cat /proc/sys/kernel/random/uuid"
"""A command that never says the same again: what ran twice shows itself."""

AGENT = r"""
import json, os, subprocess, sys, time
arguments = sys.argv[1:]
raw = arguments[arguments.index("-p") + 1]
prompt = json.loads(raw[raw.index("{"):])
resumed = arguments[arguments.index("--resume") + 1] if "--resume" in arguments else None
home = os.environ["HOME"]
with open(home + "/runs.log", "a") as log:
    log.write(f"{resumed}\n")
known = os.path.exists(home + "/session")
if resumed is not None and not known:
    sys.exit(f"No conversation found with session ID: {resumed}")
open(home + "/session", "w").write("session-1")
def line(**event):
    print(json.dumps({**event, "session_id": "session-1"}), flush=True)
def say(text):
    line(type="assistant", message={"content": [{"type": "text", "text": text}]})
line(type="system", subtype="init")
say(prompt.get("says", "thinking"))
if prompt.get("tells"):
    say(eval(prompt["tells"]))
for command in prompt.get("runs", []):
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    say(f"{done.returncode}: {(done.stdout + done.stderr).strip()}")
if prompt.get("hangs"):
    subprocess.Popen(["sleep", "613"], start_new_session=True)
    time.sleep(613)
if "outcome" in prompt:
    open(os.environ["ORCHESTRATOR_OUTCOME"], "w").write(json.dumps(prompt["outcome"]))
while prompt.get("waits") and not os.path.exists("go"):
    time.sleep(0.02)
line(type="result", subtype="success", is_error=False, result="all good", total_cost_usd=0.25,
     usage={"input_tokens": 5, "output_tokens": 3})
sys.exit(prompt.get("exit", 0))
"""


class Runtime(Protocol):
    """One runtime with everything around it. A new adapter for every call: nothing may depend on memory."""

    name: str

    def workspaces(self) -> Workspaces: ...

    def agent(self) -> AgentRuntime: ...

    def tester(self) -> Tester: ...

    async def alive(self, run: str) -> bool:
        """Whether anything of the run or of what it started is there, seen from outside."""

    def copies(self, run: str) -> list[str]:
        """What is kept of the project for a run of tests: its copy or its container, also when it has ended."""

    def left_of(self, worker: str) -> list[str]:
        """What is kept of the places of an agent worker."""

    async def kill(self, run: str) -> None:
        """Kill the run from outside, as the out-of-memory killer or an operator does."""

    async def close(self) -> None: ...


class ProcessRuntime:
    name = "process"

    def __init__(self, root: Path, forge: LocalBareForge) -> None:
        self.root = root
        self.forge = forge
        self.artifacts = DirectoryArtifactStore(root / "artifacts")

    def workspaces(self) -> LocalWorkspaces:
        return LocalWorkspaces(
            self.root / "workspaces", self.forge, UnprivilegedUsers(self.root, machine=self.root / "machine"), "agents",
            Supervisor(self.root / "runs"),
        )  # fmt: skip

    def agent(self) -> ProcessAgentRuntime:
        program = self.root / "agent.py"
        program.write_text(AGENT)
        return ProcessAgentRuntime(
            Supervisor(self.root / "runs"), self.root / "homes", self.root / "workspaces",
            [ScriptedAgent(program=program, python=Path(sys.executable))],
            UnprivilegedUsers(self.root, machine=self.root / "machine"), self.artifacts,
            trusts_models=True,
        )  # fmt: skip

    def tester(self) -> ProcessTester:
        return ProcessTester(
            Supervisor(self.root / "runs"), self.forge, self.root / "verifications", self.root / "caches",
            UnprivilegedUsers(self.root, machine=self.root / "machine"), self.artifacts,
        )  # fmt: skip

    async def alive(self, run: str) -> bool:
        instance = self._record(run)["instance"]
        marker = f"ORCHESTRATOR_RUN={run}:{instance}"
        return any(marker in _environment(process) for process in psutil.process_iter())

    def copies(self, run: str) -> list[str]:
        return [path.name for path in (self.root / "verifications").glob(run)]

    def left_of(self, worker: str) -> list[str]:
        return [path.name for path in (self.root / "workspaces").glob(worker)]

    async def kill(self, run: str) -> None:
        psutil.Process(self._record(run)["supervisor_pid"]).kill()

    async def close(self) -> None:
        runs = self.root / "runs"
        for run in runs.iterdir() if runs.exists() else []:
            await Supervisor(runs).stop(run.name, grace_s=0)

    def _record(self, run: str) -> dict[str, object]:
        record: dict[str, object] = json.loads((self.root / "runs" / run / "status.json").read_text())
        return record


class DockerRuntime:
    name = "docker"

    def __init__(self, root: Path, forge: LocalBareForge, workers: list[str]) -> None:
        self.root = root
        self.forge = forge
        self.workers = workers
        self.artifacts = DirectoryArtifactStore(root / "artifacts")
        self.engine = DockerContainerEngine(patience_s=2)

    def runs(self) -> ContainerRuns:
        return ContainerRuns(self.engine, self.root / "runs")

    def images(self) -> DockerImages:
        return DockerImages(self.engine, self.root / "locks")

    def workspaces(self) -> DockerWorkspaces:
        return DockerWorkspaces(self.runs(), self.images(), self.forge, self.root / "workspaces", "agents")

    def agent(self) -> DockerAgentRuntime:
        cli = ScriptedAgent(program=Path("/workspace/agent.py"), python=Path("/usr/bin/python3"))
        restore = self.workspaces().restore
        return DockerAgentRuntime(self.runs(), self.images(), [cli], self.artifacts, restore=restore)

    def tester(self) -> DockerTester:
        return DockerTester(self.runs(), self.images(), self.forge, self.root / "verifications", self.artifacts)

    async def alive(self, run: str) -> bool:
        listed = docker("ps", "--quiet", "--filter", f"name=^{run}$")
        return bool(listed.strip())

    def copies(self, run: str) -> list[str]:
        return docker("ps", "--all", "--filter", f"name=^{run}$", "--format", "{{.Names}}").split()

    def left_of(self, worker: str) -> list[str]:
        containers = docker("ps", "--all", "--filter", f"label={WORKER_LABEL}={worker}", "--format", "{{.Names}}")
        return (containers + docker("volume", "ls", "--quiet", "--filter", f"name={worker}")).split()

    async def kill(self, run: str) -> None:
        docker("kill", "--signal", "KILL", run)

    async def close(self) -> None:
        for worker in self.workers:
            await self.workspaces().remove(worker)
            assert await self.engine.names({WORKER_LABEL: worker}) == []
        for task in {path.stem for path in (self.root / "runs").glob("test-*.json")}:
            await self.runs().remove(task)


def _environment(process: psutil.Process) -> list[str]:
    try:
        return [f"{key}={value}" for key, value in process.environ().items()]
    except psutil.Error:
        return []


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


@dataclass
class Bench:
    """One repository, one agent worker, and a runtime to work with them."""

    root: Path
    runtime: Runtime
    forge: LocalBareForge
    worker: str
    artifacts: DirectoryArtifactStore
    events: list[FineEvent]
    offsets: list[int]

    @classmethod
    def make(cls, root: Path, kind: str) -> Bench:
        forge = LocalBareForge(root / "forge", CopierScaffolder())
        worker = f"eng-{uuid4().hex[:8]}"
        known: dict[str, Callable[[], ProcessRuntime | DockerRuntime]] = {
            "process": lambda: ProcessRuntime(root, forge),
            "docker": lambda: DockerRuntime(root, forge, [worker]),
        }
        runtime = known[kind]()
        return cls(root, runtime, forge, worker, runtime.artifacts, [], [])

    def commit(self, files: dict[str, str]) -> str:
        """A repository whose main has exactly these files; the commit."""
        bare, work = self.forge.mirror(REPOSITORY).directory, self.root / f"work-{uuid4().hex[:6]}"
        work.mkdir()
        git(work, "init", "--quiet", "--initial-branch=main")
        for path, content in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(content)
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--allow-empty", "--message", "All")
        bare.mkdir(parents=True, exist_ok=True)
        git(bare, "init", "--quiet", "--bare", "--initial-branch=main")
        git(work, "push", "--quiet", "--force", str(bare), "HEAD:main")
        return git(work, "rev-parse", "HEAD")

    async def prepare(self) -> WorkspaceReady:
        if not self.forge.mirror(REPOSITORY).directory.exists():
            self.commit({"agent.py": AGENT})
        return await self.runtime.workspaces().prepare(
            WorkspaceRequest(worker_id=self.worker, repository=REPOSITORY, branch=BRANCH)
        )

    async def prepare_folder(self) -> WorkspaceReady:
        """A workspace without a repository, with the agent in it."""
        ready = await self.runtime.workspaces().prepare(WorkspaceRequest(worker_id=self.worker))
        await self.write("agent.py", AGENT)
        return ready

    async def write(self, path: str, content: str = "content") -> None:
        await self.runtime.workspaces().write_file(WorkspaceFile(worker_id=self.worker, path=path, content=content))

    def pushing(self, base: str) -> WorkspacePush:
        return WorkspacePush(worker_id=self.worker, repository=REPOSITORY, branch=BRANCH, base_commit=base)

    def request(self, prompt: dict[str, object], **fields: object) -> TurnRequest:
        known = {
            "worker_id": self.worker, "turn": 1, "request_id": "r1", "task_id": "eng-1", "project_id": "p1",
            "agent": AgentKind.SCRIPTED, "message": json.dumps(prompt), "timeout_s": 60,
        }  # fmt: skip
        return TurnRequest.model_validate({**known, **fields})

    def follow(self, offset: int = 0) -> Follow:
        async def report(events: list[FineEvent], after: int) -> None:
            self.events += events
            self.offsets.append(after)

        return Follow(offset, report)

    async def turn(self, prompt: dict[str, object], **fields: object) -> TurnOutcome:
        return await self.runtime.agent().run_turn(self.request(prompt, **fields), self.follow())

    async def told(self, command: str, turn: int = 90) -> str:
        """What a command says, run by the agent in its place."""
        before = len(self.events)
        await self.turn({"runs": [command]}, turn=turn)
        return str(self.events[before:][-1].event.message).partition(": ")[2]

    def verification(self, files: dict[str, str], **fields: object) -> VerificationRequest:
        return self.verification_of(self.commit(files), **fields)

    def verification_of(self, commit: str, **fields: object) -> VerificationRequest:
        known = {"task_id": f"eng-{uuid4().hex[:8]}", "project_id": "p1", "repository": REPOSITORY, "commit": commit}
        return VerificationRequest.model_validate({**known, "timeout_s": 60, **fields})

    async def verify(self, request: VerificationRequest) -> VerificationResult:
        return await self.runtime.tester().verify(request, self.follow())

    @property
    def said(self) -> list[str]:
        return [str(event.event.message) for event in self.events]


@asynccontextmanager
async def working(root: Path, kind: str) -> AsyncIterator[Bench]:
    """A bench whose runtime is ended afterwards. In CI `make docker` installs an engine: without one it fails there."""
    problem = obstacle(BASE_IMAGE, timeout_s=5) if kind == "docker" else None
    if problem is not None:
        assert not IN_CI, f"CI needs Docker, but {problem}"
        pytest.skip(f"NOT TESTED IN CONTAINERS: {problem}")
    one = Bench.make(root, kind)
    yield one
    await one.runtime.close()


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=Somebody", "-c", "user.email=s@localhost", "-c", "safe.directory=*", *arguments],
        cwd=directory, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()
