"""Runs as containers: created or adopted by name, followed, stopped. What `supervision` is for processes.

The engine is the truth about a run; `<records_dir>/<name>.json` only remembers what the engine cannot say: that a
container was started (so that a vanished one is lost and not started again), that its command was told to begin, and
that it was stopped by us.

A start has two steps, since an engine that is killed while it starts a container may leave a process that it does not
know: the container starts its launcher, which waits; once the engine has written the start down, the launcher is told
to begin. One that is in no record never gets the signal and ends by itself, so the container can be created again.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shlex
import tarfile
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar

from activities.adapters.containers.engine import ContainerSpec, ContainerState, DockerContainerEngine
from activities.adapters.runs.bounded_log import BoundedLog
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.states import RunStatus
from activities.ports import Follow
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError

SHARED_NETWORK = "container:"
"""Before the name of another container: both have one loopback device and nothing else."""
TIMEOUT_LABEL = "codegen-orchestrator.timeout-s"
_LAUNCHER = "/usr/local/bin/worker-run"
_DIRECTORY = "/home/worker"
_OF_LAUNCHERS = ".run"
"""Below `_DIRECTORY`: for each container a directory with what the launcher is told and what it says."""
_LOOK_S = 0.05
_NO_SERVICES = 74
"""With which the launcher ends before the command has begun, if a service of the environment does not start."""
_END_UNKNOWN = 255
"""What an engine says of a container whose end it did not see; Docker before 23 says 0, often without a time."""
_SAID_BY_LAUNCHER = re.compile(r"(\d{1,3}) (\d{1,9})\n")
_TOLD_TO_END, _MADE_TO_END = 124, 137
"""Exit codes of the launcher's `timeout`: after its TERM, and after the KILL that follows it five seconds later."""
_ENDED_FROM_OUTSIDE = {137, 143}
"""Exit codes of a container that was killed or stopped from outside."""
_WRITTEN_LATE_S = 5.0
"""A busy engine writes down the start of a container up to this long after its command began."""
_WAIT_S = 5.0
_BEAT_S = 0.5
_T = TypeVar("_T")


@dataclass(frozen=True)
class Contents:
    """What a container gets besides its command: by `fill` before it starts; `files` in its home, for it alone, and
    variables that the engine's records must not show, with the signal to begin, which saves a call of the engine."""

    fill: Callable[[], Awaitable[None]] | None = None
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    variables: dict[str, str] = field(default_factory=dict, repr=False)


class ContainerRuns:
    """All runs of one records directory. Any number of processes may use it at once."""

    def __init__(self, engine: DockerContainerEngine, records_dir: Path) -> None:
        self.engine = engine
        self._records_dir = records_dir

    async def start(self, spec: ContainerSpec, timeout_s: int, contents: Contents | None = None) -> RunStatus:
        """Create the run, or adopt the one of that name, whatever its state: the command never begins twice.

        Files are put into the container again after a crash in the middle. The command ends after `timeout_s` seconds
        even if it is not followed. A container that was started and has vanished stays `lost`.
        """
        starting = asyncio.ensure_future(self._start(bounded_run(spec, timeout_s), contents or Contents()))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Decided before we leave, so that a stop that follows finds the run.
            await asyncio.wait({starting})
            raise

    async def status(self, name: str) -> RunStatus:
        """`absent` is also a container whose command has not begun: `start` decides what becomes of it."""
        record, state = self._record(name), await self.engine.inspect(name)
        stopped = bool(record.get("stopped"))
        created = state is not None and state.status == "created"
        if not stopped and (created or not _was_told(record) or not (state or record)):
            return RunStatus(name, "absent")
        if state is None or created:
            return RunStatus(name, "exited" if stopped else "lost", stopped=stopped)
        if state.is_running:
            return RunStatus(name, "running", started_at=state.started_at)
        seen = await self._with_its_end(state)
        if seen is None:
            return RunStatus(name, "exited" if stopped else "lost", started_at=state.started_at, stopped=stopped)
        return _ended(name, seen, stopped=stopped, unseen=seen is not state)

    @asynccontextmanager
    async def output(self, name: str) -> AsyncIterator[RunOutput]:
        """The output of a run, from its beginning; the copy is removed when the follower is closed."""
        copies = self._records_dir / ".output"
        copies.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A file that never has a name: it vanishes when this process is killed.
        with tempfile.TemporaryFile(dir=copies) as copy:
            log = BoundedLog(copy.fileno())
            try:
                yield RunOutput(self, name, copy, log)
            finally:
                log.close()

    async def stop(self, name: str, grace_s: float = 5.0) -> RunStatus:
        """TERM, after `grace_s` KILL; nothing of it runs when this returns. Stopping what has ended changes nothing."""
        async with self._locked(name):
            state = await self.engine.inspect(name)
            if state is not None and state.is_running:
                self._save(name, {**self._record(name), "stopped": True})
                await self.engine.stop(name, grace_s)
        return await self.status(name)

    async def remove(self, name: str) -> None:
        """Remove the container and forget the run, so that its name is free; ends what still runs."""
        async with self._locked(name):
            await self.engine.remove(name)
            self._path(name).unlink(missing_ok=True)

    def names(self, labels: dict[str, str]) -> list[str]:
        """Runs that were started with all of these labels, also those whose container is gone."""
        found = []
        for path in self._records_dir.glob("*.json"):
            known = self._record(path.stem).get("labels", {})
            if all(known.get(key) == value for key, value in labels.items()):
                found.append(path.stem)
        return sorted(found)

    async def end_left_in(self, keeper: str, name: str) -> RunStatus | None:
        """How a run has ended whose container somebody has removed, by what its launcher left in a volume that the
        container `keeper` has, too. None if it left nothing there, or if it was ended from outside."""
        record = self._record(name)
        said = await self.engine.read_file(keeper, _of_launcher(record.get("number", ""), "ended"), 100) or b""
        found = _SAID_BY_LAUNCHER.fullmatch(said.decode(errors="replace"))
        if found is None:
            return None
        stopped, labels = bool(record.get("stopped")), record.get("labels", {})
        gone = ContainerState(name, record["number"], "exited", int(found[1]), False, None, None, labels)
        ended = _ended(name, gone, stopped=stopped, unseen=True, lasted_s=float(found[2]))
        return ended if ended.state == "exited" else None

    async def _start(self, spec: ContainerSpec, contents: Contents) -> RunStatus:
        async with self._locked(spec.name):
            record = self._record(spec.name)
            state = await self.engine.inspect(spec.name) if record else None
            gone = state is None and record and _was_told(record)
            if not (gone or record.get("stopped")):
                await self._begin(spec, contents, state or await self.engine.create(spec))
        return await self.status(spec.name)

    async def _begin(self, spec: ContainerSpec, contents: Contents, state: ContainerState) -> None:
        """Have the command begin, unless it has begun; after that the state of the run is that of its container."""
        fresh, sent = state.status == "created", False
        if fresh:
            state, sent = await self._launch(spec, contents, state) or await self._launch_anew(spec, contents)
        elif _was_told(self._record(spec.name)):
            return
        elif not state.is_running and not await self._has_begun(state):
            (state, sent), fresh = await self._launch_anew(spec, contents), True
        if fresh or not await self._has_begun(state):
            if not sent:
                await self.engine.put_archive(spec.name, _DIRECTORY, _order(state.number, contents))
            await self._until_begun(state)
        self._save(spec.name, {**self._record(spec.name), "told": True})

    async def _launch(
        self, spec: ContainerSpec, contents: Contents, created: ContainerState
    ) -> tuple[ContainerState, bool] | None:
        """Start a created container and, if that can be done at once, send it its order; None when the engine holds
        half of it."""
        if contents.fill is not None:
            await contents.fill()
        if spec.network.startswith(SHARED_NETWORK):
            # Its launcher reads the host name of the container with which it shares the network.
            number = {f"{_OF_LAUNCHERS}/number": f"{created.number[:12]}\n".encode()}
            await self.engine.put_archive(spec.name, _DIRECTORY, archive_of(number, folders=True))
        # Written first, so that after a crash it is known that the command never got its signal to start.
        self._save(spec.name, {"labels": spec.labels, "told": False, "number": created.number})
        async with self.engine.input_of(spec.name) as send:
            if not await self.engine.start(spec.name):
                return None
            return created, send is not None and await send(_order(created.number, contents))

    async def _launch_anew(self, spec: ContainerSpec, contents: Contents) -> tuple[ContainerState, bool]:
        """After a start during which the engine was killed, or after which the launcher got no signal."""
        await self.engine.remove(spec.name)
        launched = await self._launch(spec, contents, await self.engine.create(spec))
        if launched is None:
            raise _not_begun(f"Docker started the container {spec.name} only partly, twice.")
        return launched

    async def _until_begun(self, state: ContainerState) -> None:
        """Return as soon as the launcher says so. It looks 50 times a second, and gives up after 30."""
        while not await self._has_begun(state):
            if await self.engine.wait(state.name, _LOOK_S) and not await self._has_begun(state):
                raise _not_begun(await self._why_not_begun(state.name))

    async def _why_not_begun(self, name: str) -> str:
        state = await self.engine.inspect(name)
        if state is not None and state.exit_code == _NO_SERVICES:
            return f"A service of the project's environment did not start in {name}; it is started again."
        return f"The container {name} got its start signal after it had stopped waiting."

    async def _has_begun(self, state: ContainerState) -> bool:
        return await self.engine.facts(state.name, _of_launcher(state.number, "begun")) is not None

    async def _with_its_end(self, state: ContainerState) -> ContainerState | None:
        """The state, completed from the launcher's record if the engine missed start or end; None if how it ended is
        unknown."""
        known = state.finished_at is not None and state.exit_code != _END_UNKNOWN
        if known and state.started_at is not None and state.exit_code != 0:
            return state
        said = await self.engine.read_file(state.name, _of_launcher(state.number, "ended"), 100) or b""
        found = _SAID_BY_LAUNCHER.fullmatch(said.decode(errors="replace"))
        if found is None:
            return state if known else None
        return _as_said(state, int(found[1]), timedelta(seconds=int(found[2])))

    def _locked(self, name: str) -> AbstractAsyncContextManager[object]:
        return file_lock(self._records_dir / ".locks" / f"{name}.lock")

    def _path(self, name: str) -> Path:
        return self._records_dir / f"{name}.json"

    def _record(self, name: str) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(self._path(name).read_text())
        except FileNotFoundError:
            return {}
        return record

    def _save(self, name: str, record: dict[str, Any]) -> None:
        draft = self._path(name).with_suffix(".draft")
        draft.write_text(json.dumps({**record, "started": True}))
        os.replace(draft, self._path(name))


class RunOutput:
    """Implements `Followed` for one container: its output is copied to a file, where offsets mean bytes."""

    def __init__(self, runs: ContainerRuns, name: str, copy: IO[bytes], log: BoundedLog) -> None:
        self._runs = runs
        self._name = name
        self._copy = copy
        self._log = log

    def read_output(self, name: str, offset: int, limit: int = 65536) -> tuple[bytes, int]:
        """Output from byte `offset` and the offset after it; empty when there is nothing more (yet)."""
        chunk = os.pread(self._copy.fileno(), limit, offset)
        return chunk, offset + len(chunk)

    async def wait(self, name: str) -> RunStatus:
        """Copy the output until the container has ended, also across a restart of the engine's connection."""
        engine, seen = self._runs.engine, 0
        while (status := await self._runs.status(self._name)).state == "running":
            seen = await engine.copy_output(self._name, seen, self._log.write)
            await engine.wait(self._name, _WAIT_S)
        # A stream that broke looks like one that ended: what is missing is asked for once more.
        await engine.copy_output(self._name, seen, self._log.write, follow=False)
        # Its end is only written now.
        self._log.close()
        return status


async def beating(follow: Follow, work: Awaitable[_T]) -> _T:
    """The result of `work`, with an empty report at least twice a second meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=_BEAT_S))[0]:
            await follow.report([], follow.offset)
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


def _was_told(record: dict[str, Any]) -> bool:
    """Whether the command was told to begin, and seen to begin. A run without a record counts as begun."""
    return bool(record.get("told", True))


def _not_begun(message: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.PROCESS_FAILED, message, error_class=ErrorClass.TRANSIENT)


def _of_launcher(number: str, name: str) -> str:
    """A file of one container's launcher; a container's host name is the beginning of its number."""
    return f"{_DIRECTORY}/{_OF_LAUNCHERS}/{number[:12]}/{name}"


def _order(number: str, contents: Contents) -> bytes:
    """A tar archive that makes the launcher begin. In this order: the rest is there once it may begin."""
    lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in contents.variables.items())
    own = f"{_OF_LAUNCHERS}/{number[:12]}"
    files = {f"{own}/environment": lines.encode()} if contents.variables else {}
    return archive_of({**contents.files, **files, f"{own}/begin": b""}, mode=0o600, folders=True)


def archive_of(files: dict[str, bytes], *, mode: int = 0o644, folders: bool = False) -> bytes:
    """A tar archive of files, owned by the container's user; with `folders` also their parent directories."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, content in files.items():
            for folder in reversed(PurePosixPath(path).parents[:-1]) if folders else []:
                member = owned(tarfile.TarInfo(str(folder)))
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member)
            member = owned(tarfile.TarInfo(path))
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def pack(directory: Path, target: Path) -> None:
    """Write what is in `directory` as the tar archive `target`, all of the container's user."""
    with tarfile.open(target, mode="w") as archive:
        archive.add(directory, arcname=".", filter=owned)


def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 1000
    member.uname = member.gname = ""
    return member


def bounded_run(spec: ContainerSpec, timeout_s: int) -> ContainerSpec:
    """The container whose command is the launcher, and the launcher's the command of `spec`."""
    early = ["--early"] if spec.early else []
    return replace(
        spec,
        argv=[_LAUNCHER, *early, str(timeout_s), f"{_DIRECTORY}/{_OF_LAUNCHERS}", *spec.argv],
        labels={**spec.labels, TIMEOUT_LABEL: str(timeout_s)},
        takes_input=True,
    )


def _ended(
    name: str, state: ContainerState, *, stopped: bool, unseen: bool, lasted_s: float | None = None
) -> RunStatus:
    """`lasted_s` is for a container of which the engine knows no times any more."""
    code, duration = state.exit_code, lasted_s or 0.0
    if state.started_at and state.finished_at:
        duration = (state.finished_at - state.started_at).total_seconds()
    limit = state.labels.get(TIMEOUT_LABEL, "")
    timed_out = limit.isdigit() and _over_its_time(code, duration, int(limit))
    foreign = code in _ENDED_FROM_OUTSIDE and not (stopped or timed_out or state.out_of_memory)
    return RunStatus(
        name,
        "lost" if foreign else "exited",
        exit_code=code,
        started_at=state.started_at,
        finished_at=state.finished_at,
        timed_out=timed_out,
        stopped=stopped,
        unseen=unseen,
        run_as_uid=1000,
    )


def _as_said(state: ContainerState, code: int, lasted: timedelta) -> ContainerState:
    """The state with the launcher's exit code and the times that follow from it; unchanged if it agrees with the
    engine."""
    began, ended = state.started_at, state.finished_at
    if code == state.exit_code != _END_UNKNOWN and began and ended:
        return state
    if began:
        return replace(state, exit_code=code, finished_at=began + lasted)
    return replace(state, exit_code=code, started_at=ended - lasted if ended else None)


def _over_its_time(code: int, duration_s: float, limit_s: int) -> bool:
    """Whether `timeout` ended the command, judged by its exit code and by how long the engine saw it run."""
    if code == _TOLD_TO_END:
        return duration_s >= limit_s - _WRITTEN_LATE_S
    # Its KILL comes five seconds after the limit, which leaves the engine as much.
    return code == _MADE_TO_END and duration_s >= limit_s
