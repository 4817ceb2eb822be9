"""The platform's own copy of one repository: what workspaces, tests and releases use in place of the forge.

Trees are written by agents: nothing is checked out here, and nothing is followed out of the repository.
"""

from __future__ import annotations

from pathlib import Path

from activities.adapters.forge.git import Git
from contracts.errors import ErrorCode, OrchestratorError, bounded
from contracts.plain_text import decoded
from contracts.steps import PushedBranch, WorkspacePush

MAIN = "main"
_MAX_FILE_BYTES = 1024 * 1024
_MAX_DEPTH = 100
"""Whoever copies or packs a tree goes down by recursion."""
_REGULAR_MODES = {"100644", "100755"}
_ANEW = (
    "The repository is set up anew at the last commit that was taken; the files stay as they are. Commit them again."
)


class BareMirror:
    """Implements `Mirror` where the copy is the forge's own bare repository.

    A forge elsewhere replaces `_refresh`, `_send` and `_head_at_forge`; all else stays.
    """

    def __init__(self, repository: str, directory: Path) -> None:
        self.repository = repository
        self._git = Git(directory)

    @property
    def directory(self) -> Path:
        """The bare Git directory, for reading what was fetched."""
        return self._git.directory

    async def fetch(self, commit: str | None = None) -> str:
        """Have the commit in the copy, None means the head of main; its full id.

        Raises NOT_FOUND for an unknown repository or commit.
        """
        found = None if commit is None else await self._known(commit)
        if found is None:
            await self._refresh()
            found = await self._known(commit or _ref(MAIN))
        if found is None:
            there = self.directory.is_dir()
            why = (
                f"{self.repository} has no commit {commit}."
                if commit
                else f"{self.repository} has no branch {MAIN} yet."
                if there
                else f"There is no repository {self.repository}."
            )
            raise OrchestratorError(ErrorCode.NOT_FOUND, why)
        return found

    async def commit_of(self, branch: str) -> str | None:
        """Where the branch is now at the forge; None when there is no such branch."""
        await self._refresh()
        return await self._known(_ref(branch))

    async def is_behind_main(self, commit: str) -> bool:
        """See `Mirror`."""
        main = await self.commit_of(MAIN)
        return main is not None and not await self._git.contains(main, commit)

    async def read_files(self, commit: str | None, paths: list[str]) -> tuple[str, dict[str, str]]:
        """Text of regular files only: symbolic links, directories and submodules count as absent.

        Raises NOT_FOUND for an unknown repository or commit, INVALID_INPUT for a file above 1 MB or without text.
        """
        found = await self.fetch(commit)
        texts = {path: await _read_file(self._git, found, path) for path in paths}
        return found, {path: text for path, text in texts.items() if text is not None}

    async def push(self, source: Path, request: WorkspacePush) -> PushedBranch:
        """Take the HEAD of `source` (a clone or a bundle) into the forge's task branch, and compare what the forge has.

        Nothing of the source's configuration, hooks or filters runs. A second call says the same. Raises
        REPOSITORY_DIVERGED when the head does not build on `base_commit`, REPOSITORY_UNREADABLE when the source cannot
        be read, COMMIT_NOT_ON_REMOTE when the forge does not end up with the head, BRANCH_MOVED when others have moved
        the branch from `expected`, INVALID_INPUT for an unusable branch.
        """
        branch = checked_branch(request.branch)
        incoming = f"refs/orchestrator/incoming/{request.worker_id}"
        head = await self._take(source, incoming)
        if not await self._git.contains(request.base_commit, head):
            raise _diverged(request.base_commit, head)
        if await self._git.depth(head) > _MAX_DEPTH:
            raise unreadable(f"a file in it is nested more than {_MAX_DEPTH} directories deep; move it up")
        there = await self._there(branch, head, request.expected)
        await self._send(head, branch, there)
        await self._compare(source, branch)
        await self._git.run("update-ref", "-d", incoming)
        files = await self._git.changed_files(request.base_commit, head)
        return PushedBranch(commit=head, base_commit=request.base_commit, files_changed=files)

    async def _known(self, revision: str) -> str | None:
        return await self._git.commit_of(revision) if self.directory.is_dir() else None

    async def _refresh(self) -> None:
        """Bring what is new at the forge into the copy: nothing, where they are one."""

    async def _there(self, branch: str, head: str, expected: str | None) -> str | None:
        """Where the branch is, if it is known to be fit to be replaced by `head`; None where nobody has asked.

        Raises BRANCH_MOVED if somebody else has moved it, and `head` does not have what is there.
        """
        if expected is None:
            return None
        there = await self.commit_of(branch)
        if there is None or there == expected or await self._git.contains(there, head):
            return there
        raise _moved(branch, there)

    async def _send(self, commit: str, branch: str, there: str | None) -> None:
        """Have the forge point the branch to a commit of the copy; if it is not `there` any more, BRANCH_MOVED."""
        old = (there,) if there else ()
        sent = await self._git.run("update-ref", "-m", f"push of {branch}", _ref(branch), commit, *old, check=False)
        if sent.exit_code != 0 and there and await self._known(_ref(branch)) != there:
            raise _moved(branch, "another commit")
        sent.raise_if_failed("update-ref")

    async def _head_at_forge(self, branch: str) -> str:
        """What the forge itself says of the branch; empty when there is none."""
        return _first(await self._git.text("ls-remote", "--quiet", str(self.directory), _ref(branch)))

    async def _take(self, source: Path, incoming: str) -> str:
        taken = await self._git.run(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
            "--no-auto-maintenance", str(source), f"+HEAD:{incoming}", check=False,
        )  # fmt: skip
        taken.raise_if_busy("fetch")
        if taken.exit_code != 0:
            raise unreadable(bounded(taken.stderr.strip(), 500))
        return await self._git.text("rev-parse", "--verify", f"{incoming}^{{commit}}")

    async def _compare(self, source: Path, branch: str) -> None:
        local = _first(await self._git.text("ls-remote", "--quiet", str(source), "HEAD"))
        remote = await self._head_at_forge(branch)
        if not remote or remote != local:
            raise OrchestratorError(
                ErrorCode.COMMIT_NOT_ON_REMOTE,
                "The agent's last commit did not reach the forge. Start the task again.",
                details={"local": local, "remote": remote},
            )


def checked_branch(branch: str) -> str:
    """The name of a work branch. Raises INVALID_INPUT for main and for what git would read as something else."""
    if branch == MAIN or branch.startswith("-") or ".." in branch or "@{" in branch:
        raise OrchestratorError(
            ErrorCode.INVALID_INPUT, "The work branch cannot have this name. Choose another one, and not `main`."
        )
    return branch


def _ref(branch: str) -> str:
    return f"refs/heads/{branch}"


def _first(listed: str) -> str:
    return listed.split("\t")[0]


def unreadable(why: str) -> OrchestratorError:
    """The repository of an agent cannot be read."""
    return OrchestratorError(
        ErrorCode.REPOSITORY_UNREADABLE,
        f"The workspace's repository could not be read: {why}. {_ANEW}",
    )


def _diverged(base_commit: str, head: str) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.REPOSITORY_DIVERGED,
        f"The agent's commits do not build on the commit that it started from, {base_commit}, so they were not taken. "
        f"{_ANEW}",
        details={"base_commit": base_commit, "head": head},
    )


def _moved(branch: str, there: str) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.BRANCH_MOVED,
        f"Somebody else has pushed to {branch} ({there[:12]}), and these commits do not have that. "
        "Nothing was overwritten.",
    )


async def _read_file(git: Git, commit: str, path: str) -> str | None:
    if any(part in {"", ".", ".."} for part in path.split("/")) or "\0" in path:
        return None
    entries = (await git.run("ls-tree", "-z", "-l", commit, "--", path)).paths
    for entry in entries:
        facts, _, name = entry.partition("\t")
        mode, _, blob, size = facts.split()
        if name != path or mode not in _REGULAR_MODES:
            continue
        if int(size) > _MAX_FILE_BYTES:
            raise OrchestratorError(ErrorCode.INVALID_INPUT, f"{path[:200]} is larger than 1 MB; make it smaller.")
        return text_of(path, (await git.run("cat-file", "blob", blob)).stdout)
    return None


def text_of(path: str, content: bytes) -> str:
    """The text of a file. Raises INVALID_INPUT that says what to change."""
    text = decoded(content)
    if text is None:
        raise OrchestratorError(ErrorCode.INVALID_INPUT, f"{path[:200]} is not a text file; save it as UTF-8.")
    return text
