"""Agents' clones, in volumes.

Each agent worker has two volumes, its workspace and its home, and one container `workspace-<worker>` that has both and
never runs: files go in and out through it. What the platform must be able to trust about a clone is in
`<state_dir>/.prepared/<worker_id>.json`, out of the agent's reach.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import structlog

from activities.adapters.containers.egress import gateway_name
from activities.adapters.containers.engine import Bind, ContainerSpec
from activities.adapters.containers.images import DockerImages
from activities.adapters.containers.runs import ContainerRuns, archive_of, pack
from activities.adapters.forge.clones import (
    SET_UP_ANEW,
    Prepared,
    PreparedRecords,
    check_same_work,
    new_repository,
    workspace_for_agent,
    workspace_lost,
    workspace_missing,
)
from activities.adapters.forge.git import temporary_directory
from activities.adapters.forge.mirror import unreadable
from activities.adapters.forge.taking_up import BUNDLE, bundle_of, head_to_take, merging, taken_up
from activities.adapters.runs.contained_files import plain_parts, write_refused
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.follower import readable
from activities.ports import Forge
from contracts.errors import ErrorCode, OrchestratorError, bounded
from contracts.steps import PushedBranch, WorkspaceFile, WorkspacePush, WorkspaceReady, WorkspaceRequest
from contracts.worker_steps import BranchTakeUp, TakenUp

log = structlog.get_logger(__name__)

WORKSPACE = "/workspace"
HOME = "/home/worker"
WORKER_LABEL = "codegen-orchestrator.worker"
_BUNDLE = "/out/work.bundle"
_BUNDLE_TIMEOUT_S = 120
"""Well below what the activity may take: git waits for ever for a pipe that an agent has put into its repository."""
_MAX_BUNDLE_BYTES = 1024**3
_MAX_SAID = 20_000


def binds_of(worker_id: str) -> tuple[Bind, Bind]:
    """The two volumes of an agent worker."""
    return Bind(f"workspace-{worker_id}", WORKSPACE), Bind(f"home-{worker_id}", HOME)


def helper_name(worker_id: str) -> str:
    """The container through which files go in and out of an agent worker's volumes."""
    return f"workspace-{worker_id}"


class DockerWorkspaces:
    """Implements `Workspaces`. `host_queue` is the task queue of the machine whose engine has the volumes."""

    def __init__(
        self, runs: ContainerRuns, images: DockerImages, forge: Forge, state_dir: Path, host_queue: str
    ) -> None:
        self._runs = runs
        self._engine = runs.engine
        self._images = images
        self._forge = forge
        self._dir = state_dir
        self._host_queue = host_queue
        self._records = PreparedRecords(state_dir / ".prepared")

    async def prepare(self, request: WorkspaceRequest) -> WorkspaceReady:
        """Clone once; a second call with the same arguments finds the same clone and leaves it as it is.

        The branch starts from main, or from the forge's branch of that name. Without a repository it is an empty
        folder. Raises CONFLICT when the worker already has a workspace of something else.
        """
        async with self._locked(request.worker_id):
            prepared = self._records.load(request.worker_id)
            if prepared is None:
                prepared = await self._clone(request)
            elif not await self._exists(request.worker_id):
                prepared = await self._repair(request.worker_id, prepared)
        check_same_work(prepared, request)
        return WorkspaceReady(
            worker_id=request.worker_id, base_commit=prepared.base_commit, host_queue=self._host_queue
        )

    async def write_file(self, request: WorkspaceFile) -> None:
        """Write a file into the workspace, owned by the agent; repeating the call changes nothing.

        Raises INVALID_INPUT for a path that leaves the workspace or touches its .git, NOT_FOUND without a workspace.
        """
        helper = await self._helper(request.worker_id)
        await self._write(helper, request.path, request.content)
        self._records.remember(request.worker_id, request.path, request.content)

    async def push(self, request: WorkspacePush) -> PushedBranch:
        """Take the head of the workspace into the forge's task branch, and compare what the forge has.

        A container without network bundles the commits: whatever the agent planted runs there, and the bundle is
        checked as it is fetched. Uncommitted changes stay where they are. Raises REPOSITORY_DIVERGED when the head
        does not build on `base_commit`, COMMIT_NOT_ON_REMOTE when the forge does not end up with the head, and
        REPOSITORY_UNREADABLE for a repository that cannot be read. After the first and the last the workspace has a new
        one, so that the next turn can commit.
        """
        await self._helper(request.worker_id)
        async with self._locked(request.worker_id), temporary_directory(self._dir / ".drafts") as directory:
            bundle = directory / "work.bundle"
            try:
                await self._bundle(request.worker_id, bundle)
                return await self._forge.mirror(request.repository).push(bundle, request)
            except OrchestratorError as error:
                if error.code in SET_UP_ANEW:
                    await self._set_up_anew(request.worker_id, directory)
                raise

    async def take_up(self, request: BranchTakeUp) -> TakenUp:
        """Merge what others have pushed to the task branch into the workspace, in a container without network.

        A second call finds it there. Uncommitted changes stay as they are: where they are in the way, it is a conflict.
        Raises NOT_FOUND without a workspace, REPOSITORY_UNREADABLE for a repository in which git cannot work; then the
        workspace has a new one.
        """
        mirror = self._forge.mirror(request.repository)
        head = await head_to_take(mirror, request)
        if head is None:
            return TakenUp(state="same", branch_head=request.known)
        helper = await self._helper(request.worker_id)
        async with self._locked(request.worker_id), temporary_directory(self._dir / ".drafts") as directory:
            await asyncio.to_thread((directory / "in").mkdir)
            await bundle_of(mirror, request.branch, directory / "in" / BUNDLE)
            await asyncio.to_thread(pack, directory / "in", directory / "bundle.tar")
            await self._engine.put_archive(helper, WORKSPACE, directory / "bundle.tar")
            try:
                return await self._merge(request, head)
            except OrchestratorError as error:
                if error.code in SET_UP_ANEW:
                    await self._set_up_anew(request.worker_id, directory)
                raise

    async def _merge(self, request: BranchTakeUp, head: str) -> TakenUp:
        argv = merging(request.branch, BUNDLE)
        async with self._ended(request.worker_id, argv, read_only=False) as (_, exit_code, said):
            return taken_up(head, exit_code, said)

    async def restore(self, worker_id: str) -> None:
        """Make the workspace whole if somebody removed a part of it, as `docker system prune` does; else nothing.

        With its volumes nothing is lost. Without them it is cloned again, with what was pushed and the files that were
        written into it. Raises NOT_FOUND without a workspace, and for a folder whose volume is gone.
        """
        await self._helper(worker_id)

    async def remove(self, worker_id: str) -> None:
        """Remove the volumes and every container of the worker, ending what runs; the forge keeps what was pushed.

        Removing what is gone changes nothing.
        """
        async with self._locked(worker_id):
            self._records.forget(worker_id)
            await self._remove_all(worker_id)

    async def _clone(self, request: WorkspaceRequest) -> Prepared:
        image = await self._images.worker()
        async with temporary_directory(self._dir / ".drafts") as directory:
            prepared = await workspace_for_agent(self._forge, request, directory / "workspace")
            archive = directory / "workspace.tar"
            await asyncio.to_thread(pack, directory / "workspace", archive)
            await self._remove_all(request.worker_id)
            await self._make_volumes(request.worker_id, image)
            await self._engine.put_archive(helper_name(request.worker_id), WORKSPACE, archive)
            self._records.save(request.worker_id, prepared)
        return prepared

    async def _repair(self, worker_id: str, prepared: Prepared) -> Prepared:
        """The caller holds the lock."""
        if await self._engine.volume_exists(binds_of(worker_id)[0].source):
            log.warning("the container of a workspace was removed; it is made again", worker=worker_id)
            await self._runs.remove(helper_name(worker_id))
            await self._make_volumes(worker_id, await self._images.worker())
            return prepared
        if prepared.repository is None:
            raise workspace_lost(worker_id)
        log.warning("the volume of a workspace was removed; it is cloned again", worker=worker_id)
        request = WorkspaceRequest(worker_id=worker_id, repository=prepared.repository, branch=prepared.branch)
        prepared = await self._clone(request)
        await self._write_again(worker_id)
        return prepared

    async def _write_again(self, worker_id: str) -> None:
        """What was written into the workspace and is not in the clone."""
        helper = helper_name(worker_id)
        for path, content in self._records.files(worker_id).items():
            if await self._engine.facts(helper, f"{WORKSPACE}/{path}") is None:
                await self._write(helper, path, content)

    async def _write(self, helper: str, path: str, content: str) -> None:
        parts = plain_parts(path)
        for depth in range(1, len(parts)):
            found = await self._engine.facts(helper, f"{WORKSPACE}/{'/'.join(parts[:depth])}")
            if found is not None and not found.is_directory:
                raise write_refused(path, "a part of it is not a directory")
        await self._engine.put_archive(helper, WORKSPACE, archive_of({path: content.encode()}, folders=True))

    async def _make_volumes(self, worker_id: str, image: str) -> None:
        """Those that exist stay as they are."""
        labels = {WORKER_LABEL: worker_id}
        binds = binds_of(worker_id)
        for bind in binds:
            await self._engine.ensure_volume(bind.source, labels)
        await self._engine.create(
            ContainerSpec(helper_name(worker_id), image, ["true"], binds=binds, labels=labels, read_only=True)
        )

    async def _remove_all(self, worker_id: str) -> None:
        labels = {WORKER_LABEL: worker_id}
        for name in {*await self._engine.names(labels), *self._runs.names(labels)}:
            await self._runs.remove(name)
        for volume in (*(bind.source for bind in binds_of(worker_id)), gateway_name(worker_id)):
            await self._engine.remove_volume(volume)

    async def _bundle(self, worker_id: str, target: Path) -> None:
        """The head of the workspace with its history, as the file `target`."""
        argv = ["git", "bundle", "create", "--quiet", _BUNDLE, "HEAD"]
        async with self._ended(worker_id, argv, read_only=True) as (name, exit_code, said):
            if exit_code != 0:
                raise unreadable(bounded(said, 500) or "git ended early")
            if not await self._engine.save_file(name, _BUNDLE, target, _MAX_BUNDLE_BYTES):
                if await self._engine.inspect(name) is None:
                    raise _removed(name)
                raise unreadable("its commits are larger than 1 GB, or not a plain file")

    async def _set_up_anew(self, worker_id: str, directory: Path) -> None:
        """A new repository for the files that are there. A second run does the same again."""
        prepared = self._records.load(worker_id)
        if prepared is None:
            raise workspace_missing(worker_id)
        made = await new_repository(self._forge, prepared, directory / "workspace")
        archive = directory / "repository.tar"
        await asyncio.to_thread(pack, made, archive)
        script = f"rm -rf {WORKSPACE}/.git && mkdir -m 700 {WORKSPACE}/.git"
        async with self._ended(worker_id, ["sh", "-c", script], read_only=False) as (_, exit_code, said):
            if exit_code != 0:
                raise unreadable(bounded(said, 500) or "what is left of it cannot be removed")
        await self._engine.put_archive(helper_name(worker_id), f"{WORKSPACE}/.git", archive)

    @asynccontextmanager
    async def _ended(
        self, worker_id: str, argv: list[str], *, read_only: bool
    ) -> AsyncIterator[tuple[str, int | None, str]]:
        """A container with the workspace that has run `argv`: its name, exit code, output.

        Nothing else of this worker runs or is waited for meanwhile, so a leftover is one of a killed attempt.
        """
        name = f"bundle-{worker_id}"
        await self._runs.remove(name)
        spec = ContainerSpec(
            name,
            await self._images.worker(),
            argv,
            environment={"HOME": "/tmp", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_OPTIONAL_LOCKS": "0"},
            working_dir=WORKSPACE,
            binds=(Bind(binds_of(worker_id)[0].source, WORKSPACE, read_only=read_only),),
            labels={WORKER_LABEL: worker_id},
        )
        await self._runs.start(spec, _BUNDLE_TIMEOUT_S)
        try:
            async with self._runs.output(name) as output:
                status = await output.wait(name)
                said, _ = output.read_output(name, 0)
            if status.state != "exited":
                raise _removed(name)
            yield name, status.exit_code, bounded(readable(said.decode(errors="replace")).strip(), _MAX_SAID)
        finally:
            await self._runs.remove(name)

    async def _exists(self, worker_id: str) -> bool:
        volumes = (self._engine.volume_exists(bind.source) for bind in binds_of(worker_id))
        helper, *found = await asyncio.gather(self._engine.inspect(helper_name(worker_id)), *volumes)
        return all(found) and helper is not None

    async def _helper(self, worker_id: str) -> str:
        """The helper container of a workspace that is whole, or is made whole here."""
        prepared = self._records.load(worker_id)
        if prepared is None:
            raise workspace_missing(worker_id)
        if not await self._exists(worker_id):
            async with self._locked(worker_id):
                if not await self._exists(worker_id):
                    await self._repair(worker_id, prepared)
        return helper_name(worker_id)

    def _locked(self, worker_id: str) -> AbstractAsyncContextManager[object]:
        return file_lock(self._records.directory / f"{worker_id}.lock")


def _removed(name: str) -> OrchestratorError:
    """That the repository cannot be read is not known then."""
    reason = f"The container {name} was killed or removed from outside; trying again."
    return OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason)
