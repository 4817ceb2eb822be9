"""How work gets out of the forge and back: a clone for an agent, and the agent's commits taken and compared.

Shared by every kind of workspace: what differs is where the clone lives.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from activities.adapters.forge.git import Git
from activities.adapters.forge.local import LocalBareForge
from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import PushedBranch, WorkspacePush, WorkspaceRequest

_AGENT_NAME = "Developer agent"
_AGENT_EMAIL = "developer-agent@localhost"
_MAIN_REF = "refs/heads/main"


@dataclass(frozen=True)
class Prepared:
    """What the platform must be able to trust about a clone; kept out of the agent's reach."""

    repository: str
    branch: str
    base_commit: str


class PreparedRecords:
    """`<directory>/<worker_id>.json` for every finished clone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def load(self, worker_id: str) -> Prepared | None:
        try:
            return Prepared(**json.loads(self._record(worker_id).read_text()))
        except FileNotFoundError:
            return None

    def save(self, worker_id: str, prepared: Prepared) -> None:
        record = self._record(worker_id)
        draft = record.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(prepared)))
        os.replace(draft, record)

    def forget(self, worker_id: str) -> None:
        self._record(worker_id).unlink(missing_ok=True)

    def _record(self, worker_id: str) -> Path:
        return self.directory / f"{worker_id}.json"


async def clone_for_agent(forge: LocalBareForge, request: WorkspaceRequest, draft: Path) -> Prepared:
    """Clone into `draft`: the work branch from main, or from where the forge's branch of that name is.

    Raises OrchestratorError NOT_FOUND for a repository without main, INVALID_INPUT for an unusable branch.
    """
    _checked_branch(request.branch)
    bare = Git(forge.path(request.repository))
    start = await bare.commit_of(f"refs/heads/{request.branch}") or await bare.commit_of(_MAIN_REF)
    if start is None:
        raise OrchestratorError(ErrorCode.NOT_FOUND, f"{request.repository} has no main branch to work from.")
    base = await bare.text("merge-base", _MAIN_REF, start)
    await Git(draft.parent).run(
        "clone", "--quiet", "--no-hardlinks", "--no-checkout", "--template=", "--", str(bare.directory), str(draft)
    )
    await _set_up(Git(draft), request.branch, start)
    draft.chmod(0o700)
    return Prepared(request.repository, request.branch, base)


def check_same_work(prepared: Prepared, request: WorkspaceRequest) -> None:
    """Raise OrchestratorError CONFLICT when the worker already has a clone of something else."""
    if (prepared.repository, prepared.branch) != (request.repository, request.branch):
        raise OrchestratorError(
            ErrorCode.CONFLICT, f"{request.worker_id} already works on {prepared.repository} {prepared.branch}."
        )


async def take_commits(forge: LocalBareForge, source: Path, request: WorkspacePush) -> PushedBranch:
    """Take the HEAD of `source` (a clone or a bundle) into the forge's task branch, and compare what the forge has.

    The platform fetches; nothing of the source's configuration, hooks or filters runs. A second call says the same.
    Raises REPOSITORY_DIVERGED when the head does not build on `base_commit`, COMMIT_NOT_ON_REMOTE when the forge
    does not end up with the head.
    """
    bare = Git(forge.path(request.repository))
    incoming = f"refs/orchestrator/incoming/{request.worker_id}"
    await bare.run(
        "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
        "--no-auto-maintenance", str(source), f"+HEAD:{incoming}",
    )  # fmt: skip
    head = await bare.text("rev-parse", "--verify", f"{incoming}^{{commit}}")
    if not await bare.contains(request.base_commit, head):
        raise OrchestratorError(
            ErrorCode.REPOSITORY_DIVERGED,
            "The agent's commits are not based on the commit that it was given; they were rejected.",
            details={"base_commit": request.base_commit, "head": head},
        )
    target = f"refs/heads/{_checked_branch(request.branch)}"
    await bare.run("update-ref", "-m", f"push of {request.worker_id}", target, head)
    await _compare(bare, source, target)
    await bare.run("update-ref", "-d", incoming)
    files = await bare.changed_files(request.base_commit, head)
    return PushedBranch(commit=head, base_commit=request.base_commit, files_changed=files)


def workspace_missing(worker_id: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.NOT_FOUND, f"The workspace of {worker_id} is not on this machine.")


def unreadable(why: str) -> OrchestratorError:
    """The agent's repository is not what was prepared."""
    return OrchestratorError(ErrorCode.GIT_FAILED, f"The workspace's repository could not be read: {why}.")


async def _set_up(clone: Git, branch: str, start: str) -> None:
    """The work branch checked out, the agent's name, and no remote: only the platform pushes."""
    await clone.run("checkout", "--quiet", "--no-track", "-B", branch, start, "--")
    await clone.run("remote", "remove", "origin")
    await clone.run("config", "user.name", _AGENT_NAME)
    await clone.run("config", "user.email", _AGENT_EMAIL)
    exclude = clone.directory / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("/TASK.md\n")


async def _compare(bare: Git, source: Path, target: str) -> None:
    local = (await bare.text("ls-remote", "--quiet", str(source), "HEAD")).split("\t")[0]
    remote = (await bare.text("ls-remote", "--quiet", str(bare.directory), target)).split("\t")[0]
    if not remote or remote != local:
        raise OrchestratorError(
            ErrorCode.COMMIT_NOT_ON_REMOTE,
            "The forge does not have the agent's last commit.",
            details={"local": local, "remote": remote},
        )


def _checked_branch(branch: str) -> str:
    if branch == "main" or branch.startswith("-") or ".." in branch or "@{" in branch:
        raise OrchestratorError(ErrorCode.INVALID_INPUT, "The work branch has a name that cannot be used.")
    return branch
