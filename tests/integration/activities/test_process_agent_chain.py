"""From a scaffold to a published commit with the real parts: forge, workspace, scripted agent, Tester."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from activities.adapters.agents.scripted_cli import ScriptedAgent
from activities.adapters.forge.local import LocalBareForge
from activities.adapters.forge.scaffold import CopierScaffolder
from activities.adapters.process.agent import ProcessAgentRuntime
from activities.adapters.process.tester import ProcessTester
from activities.adapters.process.workspaces import LocalWorkspaces
from activities.adapters.runs.supervisor import Supervisor
from activities.adapters.runs.users import UnprivilegedUsers
from activities.ports import Follow
from contracts.agent_workers import TurnOutcome
from contracts.departments import ScaffolderMessage
from contracts.progress import FineEvent
from contracts.states import AgentKind
from contracts.steps import (
    Check,
    PublishRequest,
    PushedBranch,
    TurnRequest,
    VerificationRequest,
    WorkspaceFile,
    WorkspacePush,
    WorkspaceReady,
    WorkspaceRequest,
)
from runtime.artifacts import DirectoryArtifactStore

SYSTEM_PYTHON = Path("/usr/bin/python3")
WISH = "# Library\n\nMake a books service: title, pages\n"


class Chain:
    def __init__(self, root: Path, python: Path) -> None:
        self.root, self.python = root, python
        self.supervisor = Supervisor(root / "runs")
        self.forge = LocalBareForge(root / "forge", CopierScaffolder())
        own = python != Path(sys.executable)
        cli = ScriptedAgent(python=python)
        self.users = UnprivilegedUsers(root, cli.programs, python if own else None, machine=root / "machine")
        artifacts = DirectoryArtifactStore(root / "artifacts")
        workspaces_dir = root / "workspaces"
        self.workspaces = LocalWorkspaces(workspaces_dir, self.forge, self.users, "agents", self.supervisor)
        self.runtime = ProcessAgentRuntime(
            self.supervisor, root / "homes", workspaces_dir, [cli], self.users, artifacts
        )
        self.tester = ProcessTester(
            self.supervisor, self.forge, root / "verifications", root / "caches", self.users, artifacts, str(python)
        )
        self.task = f"eng-{uuid4().hex[:8]}"
        self.repository = f"u1/library-{uuid4().hex[:6]}"
        self.branch = f"task/{self.task}"

    async def begin(self) -> WorkspaceReady:
        await self.forge.scaffold(
            ScaffolderMessage(
                project_id="p1", repo_full_name=self.repository, project_name="library", modules=["backend"]
            )
        )
        ready = await self.workspaces.prepare(
            WorkspaceRequest(worker_id=self.task, repository=self.repository, branch=self.branch)
        )
        await self.workspaces.write_file(WorkspaceFile(worker_id=self.task, path="TASK.md", content=WISH))
        return ready

    async def turn(self) -> TurnOutcome:
        return await self.runtime.run_turn(
            TurnRequest(
                worker_id=self.task, turn=1, request_id="r1", task_id=self.task, project_id="p1",
                agent=AgentKind.SCRIPTED, message="Read TASK.md and complete the task.", timeout_s=60,
            ),
            silent(),
        )  # fmt: skip

    async def push(self, base: str) -> PushedBranch:
        return await self.workspaces.push(
            WorkspacePush(worker_id=self.task, repository=self.repository, branch=self.branch, base_commit=base)
        )

    async def close(self) -> None:
        for run in (self.root / "runs").iterdir() if (self.root / "runs").exists() else []:
            await self.supervisor.stop(run.name, grace_s=0)


def can_list(uid: int, directory: Path) -> bool:
    listed = subprocess.run(
        ["setpriv", f"--reuid={uid}", "--clear-groups", "ls", str(directory)], capture_output=True, check=False
    )
    return listed.returncode == 0


def silent() -> Follow:
    async def report(_: list[FineEvent], __: int) -> None:
        await asyncio.sleep(0)

    return Follow(0, report)


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    one = Chain(tmp_path, Path(sys.executable))
    yield one
    await one.close()


@pytest.fixture
def reachable_directory() -> Iterator[Path]:
    """pytest's own directory is closed to other users."""
    directory = Path(tempfile.mkdtemp(prefix="chain-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.mark.deep
@pytest.mark.timeout(600)
async def test_a_wish_becomes_a_verified_commit_on_main(chain: Chain) -> None:
    base = (await chain.begin()).base_commit
    outcome = await chain.turn()
    assert outcome.status == "done", outcome.summary
    pushed = await chain.push(base)
    assert pushed.commit != base
    assert pushed.files_changed
    assert "TASK.md" not in pushed.files_changed
    verdict = await chain.tester.verify(
        VerificationRequest(
            task_id=chain.task, project_id="p1", repository=chain.repository, commit=pushed.commit, timeout_s=300
        ),
        silent(),
    )
    assert verdict.passed, verdict.evidence
    published = await chain.forge.publish(
        PublishRequest(
            task_id=chain.task, project_id="p1", repository=chain.repository, branch=chain.branch,
            commit=pushed.commit, base_commit=base,
            checks=[Check(name="tests", commit=verdict.commit, passed=verdict.passed)],
        )
    )  # fmt: skip
    assert published.status == "published"
    assert await chain.forge.mirror(chain.repository).fetch() == pushed.commit


@pytest.mark.skipif(
    os.geteuid() != 0 or not SYSTEM_PYTHON.exists(), reason="needs root and an interpreter that everybody can reach"
)
async def test_agents_and_tests_run_as_users_of_their_own(reachable_directory: Path) -> None:
    chain = Chain(reachable_directory, SYSTEM_PYTHON)
    if chain.users.obstacle() is not None:
        pytest.skip(str(chain.users.obstacle()))
    user = chain.users.for_owner(chain.task)
    assert user is not None
    try:
        base = (await chain.begin()).base_commit
        outcome = await chain.turn()
        assert outcome.status == "done", outcome.summary
        assert chain.supervisor.status(f"turn-{chain.task}-1").run_as_uid == user.uid
        assert (await chain.push(base)).commit != base
        workspace = reachable_directory / "workspaces" / chain.task
        assert {path.lstat().st_uid for path in workspace.rglob("*")} == {user.uid}
        for forbidden in ("forge", "runs"):
            assert not can_list(user.uid, reachable_directory / forbidden)
        assert can_list(user.uid, workspace)
    finally:
        await chain.close()
