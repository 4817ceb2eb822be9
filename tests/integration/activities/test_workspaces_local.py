"""Workspaces: the agent's own place, from which only the platform takes commits, trusting nothing in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from activities.adapters.copier_scaffold import CopierScaffolder
from activities.adapters.local_forge import LocalBareForge
from activities.adapters.supervision import RunAs
from activities.adapters.unprivileged import UnprivilegedUsers
from activities.adapters.workspaces import LocalWorkspaces
from contracts.departments import ScaffolderMessage
from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import WorkspaceFile, WorkspacePush, WorkspaceReady, WorkspaceRequest

BRANCH = "task/eng-1"


class Desk:
    """One scaffolded repository and one agent worker's clone of it."""

    def __init__(self, root: Path, users: UnprivilegedUsers) -> None:
        self.forge = LocalBareForge(root / "forge", CopierScaffolder())
        self.workspaces = LocalWorkspaces(root / "workspaces", self.forge, users, "agents")
        self.repository = f"u1/shop-{uuid4().hex[:6]}"
        self.worker = f"eng-{uuid4().hex[:8]}"
        self.path = root / "workspaces" / self.worker
        self.bare = self.forge.path(self.repository)

    async def prepare(self) -> WorkspaceReady:
        return await self.workspaces.prepare(
            WorkspaceRequest(worker_id=self.worker, repository=self.repository, branch=BRANCH)
        )

    def pushing(self, base: str) -> WorkspacePush:
        return WorkspacePush(worker_id=self.worker, repository=self.repository, branch=BRANCH, base_commit=base)

    async def write(self, path: str, content: str = "content") -> None:
        await self.workspaces.write_file(WorkspaceFile(worker_id=self.worker, path=path, content=content))

    def commit(self, path: str, content: str = "content") -> str:
        (self.path / path).write_text(content)
        git(self.path, "add", "--all")
        git(self.path, "commit", "--quiet", "--message", f"Add {path}")
        return git(self.path, "rev-parse", "HEAD")


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", *arguments], cwd=directory, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    one = Desk(tmp_path, UnprivilegedUsers([tmp_path]))
    await one.forge.scaffold(
        ScaffolderMessage(project_id="p1", repo_full_name=one.repository, project_name="shop", modules=["backend"])
    )
    return one


async def test_a_workspace_starts_from_main_on_its_branch_without_a_remote(desk: Desk) -> None:
    ready = await desk.prepare()
    assert ready.base_commit == git(desk.bare, "rev-parse", "main") == git(desk.path, "rev-parse", "HEAD")
    assert ready.host_queue == "agents"
    assert git(desk.path, "branch", "--show-current") == BRANCH
    assert git(desk.path, "remote") == ""


async def test_preparing_again_keeps_what_the_agent_has_done(desk: Desk) -> None:
    first = await desk.prepare()
    (desk.path / "draft.txt").write_text("unfinished")
    head = desk.commit("done.txt")
    assert await desk.prepare() == first
    assert git(desk.path, "rev-parse", "HEAD") == head
    assert (desk.path / "draft.txt").read_text() == "unfinished"


async def test_a_new_workspace_goes_on_where_the_pushed_branch_is(desk: Desk) -> None:
    base = (await desk.prepare()).base_commit
    head = desk.commit("done.txt")
    await desk.workspaces.push(desk.pushing(base))
    await desk.workspaces.remove(desk.worker)
    again = await desk.prepare()
    assert again.base_commit == base
    assert git(desk.path, "rev-parse", "HEAD") == head


async def test_the_platform_takes_the_agents_head_and_a_repeat_says_the_same(desk: Desk) -> None:
    base = (await desk.prepare()).base_commit
    head = desk.commit("feature.txt")
    first = await desk.workspaces.push(desk.pushing(base))
    assert first == await desk.workspaces.push(desk.pushing(base))
    assert (first.commit, first.base_commit, first.files_changed) == (head, base, ["feature.txt"])
    assert git(desk.bare, "rev-parse", BRANCH) == head
    assert git(desk.bare, "rev-parse", "main") == base


async def test_a_turn_without_commits_gives_the_base_commit(desk: Desk) -> None:
    base = (await desk.prepare()).base_commit
    await desk.write("TASK.md", "Do something")
    pushed = await desk.workspaces.push(desk.pushing(base))
    assert (pushed.commit, pushed.files_changed) == (base, [])
    assert git(desk.path, "status", "--porcelain") == ""


async def test_commits_that_do_not_build_on_the_base_are_refused(desk: Desk) -> None:
    base = (await desk.prepare()).base_commit
    git(desk.path, "checkout", "--quiet", "--orphan", "other")
    desk.commit("other.txt")
    with pytest.raises(OrchestratorError) as refused:
        await desk.workspaces.push(desk.pushing(base))
    assert refused.value.code is ErrorCode.REPOSITORY_DIVERGED
    assert BRANCH not in git(desk.bare, "branch", "--list")


async def test_nothing_that_the_agent_planted_runs_when_the_platform_takes_its_work(desk: Desk, tmp_path: Path) -> None:
    base = (await desk.prepare()).base_commit
    program = tmp_path / "planted"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    program.chmod(0o755)
    head = desk.commit("feature.txt")
    for hook in ("pre-push", "post-update", "reference-transaction", "pre-receive", "post-checkout"):
        (desk.path / ".git" / "hooks").mkdir(exist_ok=True)
        shutil.copy(program, desk.path / ".git" / "hooks" / hook)
    for key in ("core.fsmonitor", "uploadpack.packObjectsHook", "core.pager", "diff.external", "core.sshCommand"):
        git(desk.path, "config", key, str(program))
    git(desk.path, "config", "filter.evil.clean", str(program))
    (desk.path / ".gitattributes").write_text("* filter=evil\n")
    pushed = await desk.workspaces.push(desk.pushing(base))
    assert pushed.commit == head
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("trick", ["gitfile", "link", "alternates"])
async def test_a_workspace_that_points_to_another_repository_is_not_read(
    desk: Desk, tmp_path: Path, trick: str
) -> None:
    base = (await desk.prepare()).base_commit
    git_dir = desk.path / ".git"
    if trick == "alternates":
        (git_dir / "objects" / "info").mkdir(exist_ok=True)
        (git_dir / "objects" / "info" / "alternates").write_text(f"{desk.bare}/objects\n")
    else:
        git_dir.rename(tmp_path / "moved")
        if trick == "link":
            git_dir.symlink_to(tmp_path / "moved")
        else:
            git_dir.write_text(f"gitdir: {tmp_path}/moved\n")
    with pytest.raises(OrchestratorError) as refused:
        await desk.workspaces.push(desk.pushing(base))
    assert refused.value.code is ErrorCode.GIT_FAILED


async def test_files_arrive_in_the_workspace_and_a_repeat_replaces_them(desk: Desk) -> None:
    await desk.prepare()
    await desk.write("docs/new/wish.md", "one")
    await desk.write("docs/new/wish.md", "two")
    assert (desk.path / "docs" / "new" / "wish.md").read_text() == "two"
    assert [path.name for path in (desk.path / "docs" / "new").iterdir()] == ["wish.md"]


@pytest.mark.parametrize("path", ["../out", "/out", "a/../../out", ".git/config", ".GIT/hooks/x", "a//b", "./a", "a/"])
async def test_a_path_that_is_not_plainly_inside_is_refused(desk: Desk, tmp_path: Path, path: str) -> None:
    await desk.prepare()
    with pytest.raises(OrchestratorError) as refused:
        await desk.write(path)
    assert refused.value.code is ErrorCode.INVALID_INPUT
    assert not list(tmp_path.rglob("out"))


async def test_a_planted_link_leads_nowhere(desk: Desk, tmp_path: Path) -> None:
    await desk.prepare()
    outside = tmp_path / "outside"
    outside.mkdir()
    (desk.path / "folder").symlink_to(outside)
    (outside / "target").write_text("kept")
    (desk.path / "file").symlink_to(outside / "target")
    with pytest.raises(OrchestratorError):
        await desk.write("folder/file")
    await desk.write("file", "new")
    assert sorted(path.name for path in outside.iterdir()) == ["target"]
    assert (outside / "target").read_text() == "kept"
    assert (desk.path / "file").read_text() == "new"


async def test_a_removed_workspace_is_gone_and_removing_it_again_is_fine(desk: Desk) -> None:
    await desk.prepare()
    await desk.workspaces.remove(desk.worker)
    await desk.workspaces.remove(desk.worker)
    assert not desk.path.exists()
    with pytest.raises(OrchestratorError) as refused:
        await desk.write("a")
    assert refused.value.code is ErrorCode.NOT_FOUND


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_everything_in_the_workspace_belongs_to_the_agents_user(tmp_path: Path) -> None:
    class Always(UnprivilegedUsers):
        def for_owner(self, owner: str) -> RunAs:
            return RunAs(23456, 23456)

    desk = Desk(tmp_path, Always())
    await desk.forge.scaffold(
        ScaffolderMessage(project_id="p1", repo_full_name=desk.repository, project_name="shop", modules=["backend"])
    )
    base = (await desk.prepare()).base_commit
    await desk.write("docs/wish.md")
    assert {path.lstat().st_uid for path in [desk.path, *desk.path.rglob("*")]} == {23456}
    assert (await desk.workspaces.push(desk.pushing(base))).commit == base
