"""A forge made of bare repositories on this machine.

A repository is ours when its configuration carries `orchestrator.projectid`. Every method may be repeated after a
crash: it finds what an earlier attempt has done. Trees are written by agents, so nothing is checked out but for a
rebase, and nothing is followed out of the repository.
"""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path

from activities.adapters.forge.git import Git, Identity, temporary_directory
from activities.adapters.forge.memory import push_memory
from activities.adapters.forge.mirror import MAIN, BareMirror, checked_branch
from activities.adapters.forge.modules import missing_modules, push_modules
from activities.adapters.forge.paths import ForgePaths
from activities.adapters.forge.scaffold import CopierScaffolder
from activities.adapters.runs.file_lock import file_lock
from contracts.departments import ScaffolderMessage
from contracts.errors import ErrorCode, OrchestratorError, bounded_list
from contracts.steps import PublishRequest, PublishResult, ScaffoldResult

_MAIN_REF = f"refs/heads/{MAIN}"
_TASK_REFS = "refs/heads/task/"
_MARK = "orchestrator.projectid"
_VERSION_MARK = "orchestrator.templateversion"
_SCAFFOLD_MARK = "orchestrator.scaffold"


class LocalBareForge:
    """Implements `Forge`. One change of a repository at a time, also across processes."""

    def __init__(self, forge_dir: Path, scaffolder: CopierScaffolder) -> None:
        self._paths = ForgePaths(forge_dir)
        self._scaffolder = scaffolder

    def mirror(self, repository: str) -> BareMirror:
        """The repository itself: here the platform's copy and the forge are one."""
        return BareMirror(repository, self._paths.repository(repository))

    async def scaffold(self, message: ScaffolderMessage) -> ScaffoldResult:
        """Create or adopt the repository; generate, commit and push once. Modules that an adopted one lacks are on the
        work branch of the message then: main takes them with the work that needs them, once its tests are green.

        Raises OrchestratorError REPOSITORY_FOREIGN for a repository without our mark or with another project's
        (nothing is touched), SCAFFOLD_FAILED when the template refuses the answers.
        """
        repository = self._paths.repository(message.repo_full_name)
        async with self._locked(message.repo_full_name):
            if not os.path.lexists(repository):
                await self._create(repository, message.project_id)
            git = await self._ours(repository, message.project_id)
            commit = await self._scaffold_commit(git)
            adopted = commit is not None
            if commit is None:
                commit = await self._push_scaffold(git, message)
            elif message.branch and await missing_modules(git, _MAIN_REF, message.modules):
                main = await git.text("rev-parse", "--verify", _MAIN_REF)
                await push_modules(git, self._scaffolder, message, commit, main, self._paths.drafts)
            if message.branch:
                main = await git.text("rev-parse", "--verify", _MAIN_REF)
                await push_memory(git, message, main, self._paths.drafts)
            version = await git.text("config", "--get", _VERSION_MARK)
        return ScaffoldResult(
            repo_full_name=message.repo_full_name, commit=commit, template_version=version, adopted=adopted
        )

    async def publish(self, request: PublishRequest) -> PublishResult:
        """Fast-forward main to `commit`; when main has moved, rebase the task branch onto it instead.

        Main is protected: a commit without green checks is refused with NOT_ALLOWED. Repeating a rebase gives the
        same commit. Raises COMMIT_NOT_ON_REMOTE when the forge does not have it.
        """
        checked_branch(request.branch)
        if not request.may_reach_main:
            raise _unproven(request.commit)
        async with self._locked(request.repository):
            git = await self._ours(self._paths.repository(request.repository), request.project_id)
            if await git.commit_of(request.commit) is None:
                raise _not_on_remote(request.commit)
            main = await git.text("rev-parse", "--verify", _MAIN_REF)
            if await git.contains(request.commit, main):
                return await _published(git, request.base_commit, request.commit)
            if not await git.contains(main, request.commit):
                return await self._rebase(git, request, main)
            # Git itself compares the old value: a main that moved meanwhile is not overwritten.
            said = " ".join(f"publish {request.task_id}: {request.summary}".split())[:200]
            await git.run("update-ref", "-m", said, _MAIN_REF, request.commit, main)
            if await git.commit_of(_MAIN_REF) != request.commit:
                raise _not_on_remote(request.commit)
            return await _published(git, main, request.commit)

    async def prune_branches(self, before: datetime) -> list[str]:
        """Delete branches of tasks whose work has reached main and whose last commit is older; `org/name branch` each.

        A task that goes on with such a branch begins at main, which has all of it.
        """
        pruned = []
        for repository in self._paths.repositories:
            async with self._locked(repository):
                git = Git(self._paths.repository(repository))
                for branch in await _merged(git, before):
                    await git.run("update-ref", "-d", branch)
                    pruned.append(f"{repository} {branch.removeprefix('refs/heads/')}")
        return pruned

    def _locked(self, repository: str) -> AbstractAsyncContextManager[object]:
        # Only the platform reads here: agents see their own project, in their workspace.
        self._paths.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return file_lock(self._paths.lock(repository))

    async def _create(self, repository: Path, project_id: str) -> None:
        """Made under another name with its mark, then renamed: our repositories never exist without the mark."""
        async with temporary_directory(self._paths.drafts) as directory:
            draft = directory / "repository.git"
            git = Git(directory)
            await git.run("init", "--quiet", "--bare", f"--initial-branch={MAIN}", "--template=", str(draft))
            bare = Git(draft)
            await bare.run("config", _MARK, project_id)
            await bare.run("config", _VERSION_MARK, self._scaffolder.template_version)
            repository.parent.mkdir(parents=True, exist_ok=True)
            os.rename(draft, repository)

    async def _ours(self, repository: Path, project_id: str) -> Git:
        """The repository, once it is certain that it belongs to this project."""
        config = repository / "config"
        if repository.is_symlink() or not config.is_file():
            raise _foreign(repository, project_id, "the platform did not create it")
        git = Git(repository)
        mark = await git.run("config", "--file", str(config), "--get", _MARK, check=False)
        if mark.exit_code != 0 or mark.text != project_id:
            raise _foreign(
                repository,
                project_id,
                "it belongs to another project" if mark.text else "the platform did not create it",
            )
        return git

    async def _scaffold_commit(self, git: Git) -> str | None:
        """The commit that an earlier run scaffolded, or None.

        Remembered in our own configuration: whatever the project has done to the files of the template, it is ours.
        """
        if await git.commit_of(_MAIN_REF) is None:
            return None
        known = await git.run("config", "--get", _SCAFFOLD_MARK, check=False)
        if known.exit_code == 0 and await git.commit_of(known.text) is not None:
            return known.text
        # One that was scaffolded before there was this mark.
        return (await git.text("rev-list", "--first-parent", "--max-parents=0", _MAIN_REF)).splitlines()[-1]

    async def _push_scaffold(self, git: Git, message: ScaffolderMessage) -> str:
        async with temporary_directory(self._paths.drafts) as directory:
            work = directory / "project"
            await self._scaffolder.generate(message, work)
            clone = Git(work, Identity(date=message.timestamp))
            await clone.run("init", "--quiet", f"--initial-branch={MAIN}", "--template=")
            await clone.run("add", "--all", "--", ".")
            title = f"Scaffold {message.project_name} with template {self._scaffolder.template_version}"
            await clone.run("commit", "--quiet", "--no-verify", "--message", title)
            commit = await clone.text("rev-parse", "HEAD")
            # Before the push: a main without it would be taken for an older one.
            await git.run("config", _SCAFFOLD_MARK, commit)
            # The empty expectation: main must not exist yet.
            await clone.run(
                "push", "--quiet", f"--force-with-lease={_MAIN_REF}:", str(git.directory), f"{commit}:{_MAIN_REF}"
            )
            remote = await clone.text("ls-remote", str(git.directory), _MAIN_REF)
        if remote.split("\t")[0] != commit:
            raise _not_on_remote(commit)
        await git.run("config", _VERSION_MARK, self._scaffolder.template_version)
        return commit

    async def _rebase(self, git: Git, request: PublishRequest, main: str) -> PublishResult:
        async with temporary_directory(self._paths.drafts) as directory:
            work = directory / "project"
            await Git(directory).run(
                "clone", "--quiet", "--shared", "--no-checkout", "--template=", "--", str(git.directory), str(work)
            )
            clone = Git(work)
            await clone.run("-c", "core.symlinks=false", "checkout", "--quiet", "--detach", request.commit, "--")
            # The author's date for both, so that a repeated rebase makes the same commits.
            rebased = await clone.run(
                "-c", "core.symlinks=false",
                "rebase", "--quiet", "--no-autosquash", "--committer-date-is-author-date", main,
                check=False,
            )  # fmt: skip
            if rebased.exit_code != 0:
                conflict = (await clone.run("diff", "--name-only", "--diff-filter=U", "-z", "--")).paths
                if not conflict:
                    raise OrchestratorError(
                        ErrorCode.GIT_FAILED,
                        "The work could not be rebased onto the new main branch. Start the task again.",
                        details={"stderr": rebased.stderr},
                    )
                return PublishResult(
                    status="conflict", commit=request.commit, conflict=bounded_list(sorted(set(conflict)))
                )
            commit = await clone.text("rev-parse", "HEAD")
            if commit == main:
                return await _published(git, request.base_commit, main)
            target = f"refs/heads/{request.branch}"
            there = await git.commit_of(target) or ""
            if there not in {"", commit, request.commit} and not await git.contains(there, request.commit):
                # A person has pushed to the branch since the commit was tested: a rebase would take that away.
                theirs = await git.changed_files(request.commit, there)
                return PublishResult(status="conflict", commit=request.commit, conflict=bounded_list(theirs))
            lease = f"--force-with-lease={target}:{there}"
            await clone.run("push", "--quiet", lease, str(git.directory), f"+{commit}:{target}")
        if await git.commit_of(target) != commit:
            raise _not_on_remote(commit)
        return PublishResult(status="rebased", commit=commit, files_changed=await git.changed_files(main, commit))


async def _published(git: Git, before: str, commit: str) -> PublishResult:
    known = await git.commit_of(before) is not None
    files = await git.changed_files(before, commit) if known else []
    return PublishResult(status="published", commit=commit, files_changed=files)


def _foreign(repository: Path, project_id: str, why: str) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.REPOSITORY_FOREIGN,
        f"The repository {repository.parent.name}/{repository.stem} was not changed: {why}. Choose another name.",
        details={"project_id": project_id},
    )


def _unproven(commit: str) -> OrchestratorError:
    reason = f"The main branch is protected: {commit[:12]} needs a green check of its tests."
    return OrchestratorError(ErrorCode.NOT_ALLOWED, reason)


def _not_on_remote(commit: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.COMMIT_NOT_ON_REMOTE, f"The forge does not have the commit {commit[:12]}.")


async def _merged(git: Git, before: datetime) -> list[str]:
    """References of task branches that are a part of main."""
    if await git.commit_of(_MAIN_REF) is None:
        return []
    form = "--format=%(committerdate:unix) %(refname)"
    listed = await git.text("for-each-ref", f"--merged={_MAIN_REF}", form, _TASK_REFS)
    pairs = (line.split(" ", 1) for line in listed.splitlines())
    return [name for moment, name in pairs if int(moment) < before.timestamp()]
