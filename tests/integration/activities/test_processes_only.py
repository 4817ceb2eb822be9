"""What only processes have: an agent that shares the files, the users and the processor of the platform's machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.adapters.process.workspaces import LocalWorkspaces
from activities.adapters.runs.states import RunAs
from activities.adapters.runs.supervisor import BEHIND_THE_PLATFORM, Supervisor
from activities.adapters.runs.users import UnprivilegedUsers
from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import WorkspaceFile, WorkspaceRequest
from tests.support.services.runtimes import BRANCH, MAKEFILE, REPOSITORY, Bench, git, working


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with working(tmp_path, "process") as one:
        yield one


def workspace(bench: Bench) -> Path:
    return bench.root / "workspaces" / bench.worker


async def test_nothing_that_the_agent_planted_runs_when_the_platform_takes_its_work(bench: Bench) -> None:
    base, program, work = (await bench.prepare()).base_commit, bench.root / "planted", workspace(bench)
    program.write_text(f"#!/bin/sh\ntouch {bench.root}/ran\nexit 1\n")
    program.chmod(0o755)
    (work / "feature.txt").write_text("content")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "Work")
    head = git(work, "rev-parse", "HEAD")
    (work / ".git" / "hooks").mkdir(exist_ok=True)
    for hook in ("pre-push", "post-update", "reference-transaction", "pre-receive", "post-checkout"):
        shutil.copy(program, work / ".git" / "hooks" / hook)
    for key in ("core.fsmonitor", "uploadpack.packObjectsHook", "core.pager", "diff.external", "core.sshCommand"):
        git(work, "config", key, str(program))
    git(work, "config", "filter.evil.clean", str(program))
    (work / ".gitattributes").write_text("* filter=evil\n")
    pushed = await bench.runtime.workspaces().push(bench.pushing(base))
    assert pushed.commit == head
    assert not (bench.root / "ran").exists()


@pytest.mark.parametrize("url", ["file:///nowhere", "ext::{program}"])
async def test_nothing_is_fetched_from_where_the_agent_says_that_its_missing_objects_are(
    bench: Bench, url: str
) -> None:
    base, program, work = (await bench.prepare()).base_commit, bench.root / "planted", workspace(bench)
    program.write_text(f"#!/bin/sh\ntouch {bench.root}/ran\nexit 1\n")
    program.chmod(0o755)
    settings = {
        "core.repositoryFormatVersion": "1", "extensions.partialClone": "evil", "remote.evil.promisor": "true",
        "remote.evil.url": url.format(program=program), "remote.evil.uploadpack": str(program),
        "protocol.allow": "always",
    }  # fmt: skip
    for key, value in settings.items():
        git(work, "config", key, value)
    shutil.rmtree(work / ".git" / "objects" / base[:2])
    with pytest.raises(OrchestratorError) as refused:
        await bench.runtime.workspaces().push(bench.pushing(base))
    assert refused.value.code is ErrorCode.REPOSITORY_UNREADABLE
    assert not (bench.root / "ran").exists()


@pytest.mark.parametrize("trick", ["gitfile", "link", "alternates"])
async def test_a_workspace_that_points_to_another_repository_is_not_read(bench: Bench, trick: str) -> None:
    base = (await bench.prepare()).base_commit
    git_dir, moved = workspace(bench) / ".git", bench.root / "moved"
    if trick == "alternates":
        (git_dir / "objects" / "info").mkdir(exist_ok=True)
        (git_dir / "objects" / "info" / "alternates").write_text(
            f"{bench.forge.mirror(REPOSITORY).directory}/objects\n"
        )
    else:
        git_dir.rename(moved)
        if trick == "link":
            git_dir.symlink_to(moved)
        else:
            git_dir.write_text(f"gitdir: {moved}\n")
    with pytest.raises(OrchestratorError) as refused:
        await bench.runtime.workspaces().push(bench.pushing(base))
    assert refused.value.code is ErrorCode.REPOSITORY_UNREADABLE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_everything_in_the_workspace_belongs_to_the_agents_user(bench: Bench) -> None:
    class Always(UnprivilegedUsers):
        def for_owner(self, owner: str, held: Path | None = None) -> RunAs:
            return RunAs(23456, 23456)

    bench.commit({"README.md": "x"})
    workspaces = LocalWorkspaces(
        bench.root / "workspaces", bench.forge, Always(bench.root), "agents", Supervisor(bench.root / "runs")
    )
    ready = await workspaces.prepare(WorkspaceRequest(worker_id=bench.worker, repository=REPOSITORY, branch=BRANCH))
    await workspaces.write_file(WorkspaceFile(worker_id=bench.worker, path="docs/wish.md", content="content"))
    place = workspace(bench)
    assert {path.lstat().st_uid for path in [place, *place.rglob("*")]} == {23456}
    assert (await workspaces.push(bench.pushing(ready.base_commit))).commit == ready.base_commit


async def test_agents_and_tests_get_the_processor_behind_the_platform(bench: Bench) -> None:
    """Twenty in parallel must not keep the platform from sending heartbeats."""
    behind = os.nice(0) + BEHIND_THE_PLATFORM
    await bench.prepare()
    assert await bench.told("nice") == str(behind)
    request = bench.verification({"Makefile": MAKEFILE.format(f"test $$(nice) = {behind}")})
    assert (await bench.verify(request)).exit_code == 0
