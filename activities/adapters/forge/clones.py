"""The workspace of an agent, a clone or a folder, and what the platform remembers of it.

Shared by every kind of workspace: what differs is where it lives.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from activities.adapters.forge.git import Git
from activities.adapters.forge.mirror import MAIN, checked_branch
from activities.ports import Forge
from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import WorkspaceRequest

_AGENT_NAME = "Developer agent"
_AGENT_EMAIL = "developer-agent@localhost"
_FILES_KEPT = 20
SET_UP_ANEW = frozenset({ErrorCode.REPOSITORY_UNREADABLE, ErrorCode.REPOSITORY_DIVERGED})
"""After these a workspace gets a new repository. Its agent cannot always put the old one right: after a `git init` it
does not even have the commit that it should build on."""


@dataclass(frozen=True)
class Prepared:
    """What the platform must be able to trust about a workspace; kept out of the agent's reach.

    A folder without a repository has no base commit.
    """

    repository: str | None
    branch: str
    base_commit: str | None


class PreparedRecords:
    """`<directory>/<worker_id>.json` for every finished workspace."""

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
        self._written(worker_id).unlink(missing_ok=True)

    def remember(self, worker_id: str, path: str, content: str) -> None:
        """Keep a file that was written into the workspace, such as the task: it is in no repository."""
        known = {name: text for name, text in self.files(worker_id).items() if name != path}
        kept = dict([*known.items(), (path, content)][-_FILES_KEPT:])
        draft = self._written(worker_id).with_suffix(".draft")
        draft.write_text(json.dumps(kept))
        os.replace(draft, self._written(worker_id))

    def files(self, worker_id: str) -> dict[str, str]:
        """The newest files that were written into the workspace, by path."""
        try:
            found: dict[str, str] = json.loads(self._written(worker_id).read_text())
        except FileNotFoundError:
            return {}
        return found

    def _written(self, worker_id: str) -> Path:
        return self.directory / f"{worker_id}.files"

    def _record(self, worker_id: str) -> Path:
        return self.directory / f"{worker_id}.json"


async def workspace_for_agent(forge: Forge, request: WorkspaceRequest, draft: Path) -> Prepared:
    """Make `draft`: a clone, or an empty folder for a request without a repository.

    The work branch starts from main, or from where the forge's branch of that name is.

    Raises OrchestratorError NOT_FOUND for a repository without main, INVALID_INPUT for an unusable branch.
    """
    if request.repository is None:
        draft.mkdir(mode=0o700)
        return Prepared(None, "", None)
    mirror = forge.mirror(request.repository)
    start = await mirror.commit_of(checked_branch(request.branch)) or await mirror.fetch()
    base = await Git(mirror.directory).text("merge-base", f"refs/heads/{MAIN}", start)
    await Git(draft.parent).run(
        "clone", "--quiet", "--no-hardlinks", "--no-checkout", "--template=", "--", str(mirror.directory), str(draft)
    )
    await _set_up(Git(draft), request.branch, start)
    draft.chmod(0o700)
    return Prepared(request.repository, request.branch, base)


def check_same_work(prepared: Prepared, request: WorkspaceRequest) -> None:
    """Raise OrchestratorError CONFLICT when the worker already has a workspace of something else."""
    if (prepared.repository, prepared.branch) != (request.repository, request.branch):
        there = f"on {prepared.repository} {prepared.branch}" if prepared.repository else "without a repository"
        raise OrchestratorError(
            ErrorCode.CONFLICT, f"Agent worker {request.worker_id} already has a workspace {there}. Use another id."
        )


def workspace_missing(worker_id: str) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.NOT_FOUND, f"Agent worker {worker_id} has no workspace on this machine. Start the task again."
    )


async def new_repository(forge: Forge, prepared: Prepared, draft: Path) -> Path:
    """A `.git` like that of a new workspace, at the last commit that was taken, in the directory `draft`."""
    assert prepared.repository
    assert prepared.base_commit
    mirror = forge.mirror(prepared.repository)
    await Git(draft.parent).run(
        "clone", "--quiet", "--no-hardlinks", "--no-checkout", "--template=", "--", str(mirror.directory), str(draft)
    )
    start = await mirror.commit_of(prepared.branch) or prepared.base_commit
    await _set_up(Git(draft), prepared.branch, start)
    return draft / ".git"


def workspace_lost(worker_id: str) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.NOT_FOUND,
        f"The files of agent worker {worker_id} were removed from outside, and they are in no repository. "
        "Start the task again.",
    )


async def _set_up(clone: Git, branch: str, start: str) -> None:
    """The work branch checked out, the agent's name, and no remote: only the platform pushes."""
    await clone.run("checkout", "--quiet", "--no-track", "-B", branch, start, "--")
    await clone.run("remote", "remove", "origin")
    await clone.run("config", "user.name", _AGENT_NAME)
    await clone.run("config", "user.email", _AGENT_EMAIL)
    exclude = clone.directory / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("/TASK.md\n")
