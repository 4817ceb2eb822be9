"""Clones in which agents work, on this machine.

`<workspaces_dir>/<worker_id>/` belongs to the agent. What the platform must be able to trust (which repository,
which branch, where the work began) is in `<workspaces_dir>/.prepared/<worker_id>.json`, out of the agent's reach.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from activities.adapters.contained_files import write_inside
from activities.adapters.file_lock import file_lock
from activities.adapters.git import Git, temporary_directory
from activities.adapters.local_forge import LocalBareForge
from activities.adapters.unprivileged import UnprivilegedUsers, give
from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import PushedBranch, WorkspaceFile, WorkspacePush, WorkspaceReady, WorkspaceRequest

_AGENT_NAME = "Developer agent"
_AGENT_EMAIL = "developer-agent@localhost"
_MAIN_REF = "refs/heads/main"
_MAX_GIT_ENTRIES = 200_000


@dataclass(frozen=True)
class _Prepared:
    repository: str
    branch: str
    base_commit: str


class LocalWorkspaces:
    """Implements `Workspaces`. `host_queue` is the task queue of the machine that has the directories."""

    def __init__(self, workspaces_dir: Path, forge: LocalBareForge, users: UnprivilegedUsers, host_queue: str) -> None:
        self._dir = workspaces_dir
        self._forge = forge
        self._users = users
        self._host_queue = host_queue

    async def prepare(self, request: WorkspaceRequest) -> WorkspaceReady:
        """Clone once; a second call with the same arguments finds the same clone and leaves it as it is.

        The branch starts from main, or goes on where the forge's branch of that name is. Raises CONFLICT when
        the worker already has a clone of something else.
        """
        async with self._locked(request.worker_id):
            prepared = self._prepared(request.worker_id)
            if prepared is None or not self._path(request.worker_id).is_dir():
                prepared = await self._clone(request)
        if (prepared.repository, prepared.branch) != (request.repository, request.branch):
            raise OrchestratorError(
                ErrorCode.CONFLICT, f"{request.worker_id} already works on {prepared.repository} {prepared.branch}."
            )
        return WorkspaceReady(
            worker_id=request.worker_id, base_commit=prepared.base_commit, host_queue=self._host_queue
        )

    async def write_file(self, request: WorkspaceFile) -> None:
        """Write a file of the workspace as the agent's own; the same call again writes the same.

        Raises INVALID_INPUT for a path that leaves the workspace or touches its .git, NOT_FOUND without workspace.
        """
        owner = self._users.for_owner(request.worker_id)
        await asyncio.to_thread(
            write_inside, self._existing(request.worker_id), request.path, request.content.encode(), owner
        )

    async def push(self, request: WorkspacePush) -> PushedBranch:
        """Take the head of the workspace into the forge's task branch, and compare what the forge has.

        The platform fetches; nothing of the workspace's configuration, hooks or filters runs. Uncommitted changes
        stay where they are. Raises REPOSITORY_DIVERGED when the head does not build on `base_commit`,
        COMMIT_NOT_ON_REMOTE when the forge does not end up with the head.
        """
        workspace = self._existing(request.worker_id)
        await asyncio.to_thread(_check_repository, workspace)
        bare = Git(self._forge.path(request.repository))
        incoming = f"refs/orchestrator/incoming/{request.worker_id}"
        await bare.run(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
            "--no-auto-maintenance", str(workspace), f"+HEAD:{incoming}",
        )  # fmt: skip
        head = await bare.text("rev-parse", "--verify", f"{incoming}^{{commit}}")
        if not await bare.contains(request.base_commit, head):
            raise OrchestratorError(
                ErrorCode.REPOSITORY_DIVERGED,
                "The agent's commits do not build on the commit that it was given; they were not taken.",
                details={"base_commit": request.base_commit, "head": head},
            )
        target = f"refs/heads/{_checked_branch(request.branch)}"
        await bare.run("update-ref", "-m", f"push of {request.worker_id}", target, head)
        await _compare(bare, workspace, target)
        await bare.run("update-ref", "-d", incoming)
        files = await bare.changed_files(request.base_commit, head)
        return PushedBranch(commit=head, base_commit=request.base_commit, files_changed=files)

    async def remove(self, worker_id: str) -> None:
        """Remove the clone; the forge keeps what was pushed. Removing what is gone changes nothing."""
        async with self._locked(worker_id):
            await asyncio.to_thread(shutil.rmtree, self._path(worker_id), ignore_errors=True)
            self._record(worker_id).unlink(missing_ok=True)

    async def _clone(self, request: WorkspaceRequest) -> _Prepared:
        _checked_branch(request.branch)
        bare = Git(self._forge.path(request.repository))
        start = await bare.commit_of(f"refs/heads/{request.branch}") or await bare.commit_of(_MAIN_REF)
        if start is None:
            raise OrchestratorError(ErrorCode.NOT_FOUND, f"{request.repository} has no main branch to work from.")
        base = await bare.text("merge-base", _MAIN_REF, start)
        async with temporary_directory(self._dir / ".drafts") as directory:
            draft = directory / "workspace"
            await Git(directory).run(
                "clone",
                "--quiet",
                "--no-hardlinks",
                "--no-checkout",
                "--template=",
                "--",
                str(bare.directory),
                str(draft),
            )
            await _set_up(Git(draft), request.branch, start)
            draft.chmod(0o700)
            await asyncio.to_thread(give, draft, self._users.for_owner(request.worker_id))
            prepared = _Prepared(request.repository, request.branch, base)
            self._save(request.worker_id, prepared)
            await asyncio.to_thread(shutil.rmtree, self._path(request.worker_id), ignore_errors=True)
            os.rename(draft, self._path(request.worker_id))
        return prepared

    def _path(self, worker_id: str) -> Path:
        return self._dir / worker_id

    def _existing(self, worker_id: str) -> Path:
        path = self._path(worker_id)
        if path.is_symlink() or not path.is_dir():
            raise OrchestratorError(ErrorCode.NOT_FOUND, f"The workspace of {worker_id} is not on this machine.")
        return path

    def _locked(self, worker_id: str) -> AbstractAsyncContextManager[None]:
        return file_lock(self._dir / ".prepared" / f"{worker_id}.lock")

    def _record(self, worker_id: str) -> Path:
        return self._dir / ".prepared" / f"{worker_id}.json"

    def _prepared(self, worker_id: str) -> _Prepared | None:
        try:
            return _Prepared(**json.loads(self._record(worker_id).read_text()))
        except FileNotFoundError:
            return None

    def _save(self, worker_id: str, prepared: _Prepared) -> None:
        record = self._record(worker_id)
        draft = record.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(prepared)))
        os.replace(draft, record)


async def _set_up(clone: Git, branch: str, start: str) -> None:
    """The work branch checked out, the agent's name, and no remote: only the platform pushes."""
    await clone.run("checkout", "--quiet", "--no-track", "-B", branch, start, "--")
    await clone.run("remote", "remove", "origin")
    await clone.run("config", "user.name", _AGENT_NAME)
    await clone.run("config", "user.email", _AGENT_EMAIL)
    exclude = clone.directory / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("/TASK.md\n")


async def _compare(bare: Git, workspace: Path, target: str) -> None:
    local = (await bare.text("ls-remote", "--quiet", str(workspace), "HEAD")).split("\t")[0]
    remote = (await bare.text("ls-remote", "--quiet", str(bare.directory), target)).split("\t")[0]
    if not remote or remote != local:
        raise OrchestratorError(
            ErrorCode.COMMIT_NOT_ON_REMOTE,
            "The forge does not have the agent's last commit.",
            details={"local": local, "remote": remote},
        )


def _check_repository(workspace: Path) -> None:
    """The repository must be the workspace's own: nothing in it may point to objects of somebody else."""
    git_dir = workspace / ".git"
    if git_dir.is_symlink() or not git_dir.is_dir():
        raise _tampered("its .git is not a directory")
    for redirect in ("commondir", "objects/info/alternates", "objects/info/http-alternates"):
        if os.path.lexists(git_dir / redirect):
            raise _tampered(f"its .git/{redirect} points elsewhere")
    seen = 0
    for folder, directories, files in os.walk(git_dir):
        for name in (*directories, *files):
            seen += 1
            if os.path.islink(os.path.join(folder, name)):
                raise _tampered(f"its .git holds the link {name[:100]}")
        if seen > _MAX_GIT_ENTRIES:
            raise _tampered("its .git holds too many files")


def _tampered(why: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.GIT_FAILED, f"The workspace's repository was not read: {why}.")


def _checked_branch(branch: str) -> str:
    if branch == "main" or branch.startswith("-") or ".." in branch or "@{" in branch:
        raise OrchestratorError(ErrorCode.INVALID_INPUT, "The work branch has a name that cannot be used.")
    return branch
