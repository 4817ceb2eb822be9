"""Agents' clones, on this machine.

`<workspaces_dir>/<worker_id>/` belongs to the agent. What the platform must be able to trust (which repository, which
branch, where the work began) is in `<workspaces_dir>/.prepared/<worker_id>.json`, out of the agent's reach.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

from activities.adapters.forge.clones import (
    SET_UP_ANEW,
    Prepared,
    PreparedRecords,
    check_same_work,
    new_repository,
    workspace_for_agent,
    workspace_missing,
)
from activities.adapters.forge.git import Git, temporary_directory
from activities.adapters.forge.mirror import unreadable
from activities.adapters.forge.taking_up import BUNDLE, bundle_of, head_to_take, interrupted, merging, taken_up
from activities.adapters.runs.contained_files import write_inside
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.follower import readable
from activities.adapters.runs.states import RunAs
from activities.adapters.runs.supervisor import SupervisedCommand, Supervisor
from activities.adapters.runs.trees import remove_tree
from activities.adapters.runs.unprivileged import give
from activities.adapters.runs.users import UnprivilegedUsers
from activities.ports import Forge
from contracts.errors import OrchestratorError, bounded
from contracts.steps import PushedBranch, WorkspaceFile, WorkspacePush, WorkspaceReady, WorkspaceRequest
from contracts.worker_steps import BranchTakeUp, TakenUp

_MERGE_TIMEOUT_S = 120
_MAX_GIT_ENTRIES = 200_000
_MAX_GIT_DEPTH = 100
_MAX_CONFIG = 1024 * 1024
_INCLUDE = re.compile(rb"\[\s*include", re.IGNORECASE)
"""Git would read whatever it names: a pipe on which it waits, a device without an end."""


class LocalWorkspaces:
    """Implements `Workspaces`. `host_queue` is the task queue of the machine that has the directories."""

    def __init__(
        self, workspaces_dir: Path, forge: Forge, users: UnprivilegedUsers, host_queue: str, supervisor: Supervisor
    ) -> None:
        self._supervisor = supervisor
        self._dir = workspaces_dir
        self._forge = forge
        self._users = users
        self._host_queue = host_queue
        self._records = PreparedRecords(workspaces_dir / ".prepared")

    async def prepare(self, request: WorkspaceRequest) -> WorkspaceReady:
        """Clone once; a second call with the same arguments finds the same clone and leaves it as it is.

        The branch starts from main, or from the forge's branch of that name. Without a repository it is an empty
        folder. Raises CONFLICT when the worker already has a workspace of something else.
        """
        async with self._locked(request.worker_id):
            prepared = self._records.load(request.worker_id)
            if prepared is None or not self._path(request.worker_id).is_dir():
                prepared = await self._clone(request)
        check_same_work(prepared, request)
        return WorkspaceReady(
            worker_id=request.worker_id, base_commit=prepared.base_commit, host_queue=self._host_queue
        )

    async def write_file(self, request: WorkspaceFile) -> None:
        """Write a file into the workspace, owned by the agent; repeating the call changes nothing.

        Raises INVALID_INPUT for a path that leaves the workspace or touches its .git, NOT_FOUND without a workspace.
        """
        owner = self._user(request.worker_id)
        await asyncio.to_thread(
            write_inside, self._existing(request.worker_id), request.path, request.content.encode(), owner
        )

    async def push(self, request: WorkspacePush) -> PushedBranch:
        """Take the head of the workspace into the forge's task branch, and compare what the forge has.

        The platform fetches; nothing of the workspace's configuration, hooks or filters runs. Uncommitted changes
        stay where they are. Raises REPOSITORY_DIVERGED when the head does not build on `base_commit`,
        COMMIT_NOT_ON_REMOTE when the forge does not end up with the head, and REPOSITORY_UNREADABLE for a repository
        that cannot be read. After the first and the last the workspace has a new one, so that the next turn can commit.
        """
        workspace, mirror = self._existing(request.worker_id), self._forge.mirror(request.repository)
        try:
            await asyncio.to_thread(_check_repository, workspace)
            before = await mirror.commit_of(request.branch)
            pushed = await mirror.push(workspace, request)
            if pushed.commit in {before, request.base_commit}:
                await self._read_head(workspace)
        except OrchestratorError as error:
            if error.code in SET_UP_ANEW:
                await self._set_up_anew(request.worker_id, workspace)
            raise
        return pushed

    async def take_up(self, request: BranchTakeUp) -> TakenUp:
        """Merge what others have pushed to the task branch into the workspace, as the agent's user.

        A second call finds it there. Uncommitted changes stay as they are: where they are in the way, it is a conflict.
        Raises NOT_FOUND without a workspace, REPOSITORY_UNREADABLE for a repository in which git cannot work; then the
        workspace has a new one.
        """
        mirror = self._forge.mirror(request.repository)
        head = await head_to_take(mirror, request)
        if head is None:
            return TakenUp(state="same", branch_head=request.known)
        workspace, user = self._existing(request.worker_id), self._user(request.worker_id)
        async with temporary_directory(self._dir / ".drafts") as directory:
            await bundle_of(mirror, request.branch, directory / BUNDLE)
            content = await asyncio.to_thread((directory / BUNDLE).read_bytes)
            await asyncio.to_thread(write_inside, workspace, BUNDLE, content, user)
        try:
            await asyncio.to_thread(_check_repository, workspace)
            return await self._merge(request, head, workspace, user)
        except OrchestratorError as error:
            if error.code in SET_UP_ANEW:
                await self._set_up_anew(request.worker_id, workspace)
            raise

    async def _merge(self, request: BranchTakeUp, head: str, workspace: Path, user: RunAs | None) -> TakenUp:
        """In a process that is ended with all that it has started."""
        name = f"take-up-{request.worker_id}"
        await self._supervisor.stop(name, grace_s=0)
        self._supervisor.remove(name)
        path = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent", "LANG": "C.UTF-8"}
        command = SupervisedCommand(name, merging(request.branch, BUNDLE), workspace, path, _MERGE_TIMEOUT_S, user=user)
        await self._supervisor.start(command)
        try:
            status = await self._supervisor.wait(name)
            said, _ = self._supervisor.read_output(name, 0)
        finally:
            await self._supervisor.stop(name, grace_s=0)
            self._supervisor.remove(name)
        if status.state != "exited":
            raise interrupted()
        return taken_up(head, status.exit_code, said.decode(errors="replace"))

    async def remove(self, worker_id: str) -> None:
        """Remove the clone; the forge keeps what was pushed. Removing what is gone changes nothing."""
        async with self._locked(worker_id):
            await asyncio.to_thread(remove_tree, self._path(worker_id))
            self._records.forget(worker_id)

    async def _clone(self, request: WorkspaceRequest) -> Prepared:
        async with temporary_directory(self._dir / ".drafts") as directory:
            draft = directory / "workspace"
            prepared = await workspace_for_agent(self._forge, request, draft)
            await asyncio.to_thread(give, draft, self._user(request.worker_id))
            self._records.save(request.worker_id, prepared)
            await asyncio.to_thread(remove_tree, self._path(request.worker_id))
            os.rename(draft, self._path(request.worker_id))
        return prepared

    async def _read_head(self, workspace: Path) -> None:
        """Raise REPOSITORY_UNREADABLE if not all of the head is there.

        A push of what the forge has already takes nothing, and so does not notice that: the next commit would fail.
        """
        async with temporary_directory(self._dir / ".drafts") as directory:
            copied = await Git(directory).run(
                "clone", "--quiet", "--bare", "--no-local", "--depth=1", "--template=", "--",
                str(workspace), str(directory / "copy"), check=False,
            )  # fmt: skip
        copied.raise_if_busy("clone")
        if copied.exit_code != 0:
            raise unreadable(bounded(copied.stderr.strip(), 500))

    def _user(self, worker_id: str) -> RunAs | None:
        return self._users.for_owner(worker_id, self._path(worker_id))

    async def _set_up_anew(self, worker_id: str, workspace: Path) -> None:
        """A new repository for the files that are there. A second run does the same again."""
        prepared = self._records.load(worker_id)
        if prepared is None:
            raise workspace_missing(worker_id)
        async with self._locked(worker_id), temporary_directory(self._dir / ".drafts") as directory:
            made = await new_repository(self._forge, prepared, directory / "workspace")
            await asyncio.to_thread(give, made, self._user(worker_id))
            await asyncio.to_thread(_put_aside, workspace / ".git", directory / "damaged")
            os.rename(made, workspace / ".git")

    def _path(self, worker_id: str) -> Path:
        return self._dir / worker_id

    def _existing(self, worker_id: str) -> Path:
        path = self._path(worker_id)
        if path.is_symlink() or not path.is_dir():
            raise workspace_missing(worker_id)
        return path

    def _locked(self, worker_id: str) -> AbstractAsyncContextManager[object]:
        return file_lock(self._records.directory / f"{worker_id}.lock")


def _put_aside(repository: Path, to: Path) -> None:
    with suppress(FileNotFoundError):
        os.rename(repository, to)


def _check_repository(workspace: Path) -> None:
    """The repository must be the workspace's own: nothing in it may point elsewhere, or make git wait."""
    git_dir = workspace / ".git"
    if git_dir.is_symlink() or not git_dir.is_dir():
        raise unreadable("its .git is not a directory")
    for redirect in ("commondir", "objects/info/alternates", "objects/info/http-alternates"):
        if os.path.lexists(git_dir / redirect):
            raise unreadable(f"its .git/{redirect} points elsewhere")
    _check_entries(git_dir)
    for name in ("config", "config.worktree"):
        settings = _start_of(git_dir / name)
        if len(settings) > _MAX_CONFIG:
            raise unreadable(f"its .git/{name} is larger than 1 MB")
        if _INCLUDE.search(settings):
            raise unreadable(f"its .git/{name} includes other files")


def _check_entries(git_dir: Path) -> None:
    seen = 0
    for folder, directories, files in os.walk(git_dir):
        if folder.count("/") - str(git_dir).count("/") > _MAX_GIT_DEPTH:
            raise unreadable("its .git is nested too deeply")
        for name in (*directories, *files):
            seen += 1
            if not _is_plain(os.lstat(os.path.join(folder, name)).st_mode):
                raise unreadable(f"{readable(name[:100])} in its .git is neither a file nor a directory")
        if seen > _MAX_GIT_ENTRIES:
            raise unreadable("its .git holds too many files")


def _is_plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _start_of(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_MAX_CONFIG + 1)
    except FileNotFoundError:
        return b""
