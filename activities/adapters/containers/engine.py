"""The Docker Engine, asynchronously: the SDK's blocking calls in a bounded set of threads, its errors translated.

Everything that is made here carries our mark and is created or adopted by name, so that every call may be repeated.
"""

from __future__ import annotations

import asyncio
import io
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import docker
import requests
import urllib3
from docker import errors
from docker.types import IPAMConfig, LogConfig, Mount
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from activities.adapters.containers import streams as docker_streams
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded

MARK = "codegen-orchestrator.mark"
_THREADS = 12
_FOLLOWERS = 96
"""Threads that copy output, one per followed container: more than activities that may run in parallel."""
_PATIENCE_S = 10.0
_CALL_TIMEOUT_S = 120
_REGULAR_FILE = 0o777
_DIRECTORY = 1 << 31
_T = TypeVar("_T")


@dataclass(frozen=True)
class Limits:
    """What one container may use. `memory_bytes` includes files in its /tmp."""

    memory_bytes: int = 2 * 1024**3
    cpus: float = 2.0
    pids: int = 1024


@dataclass(frozen=True)
class Bind:
    """A named volume or a path of the host, at `target`."""

    source: str
    target: str
    read_only: bool = False
    host_path: bool = False


@dataclass(frozen=True)
class ContainerSpec:
    """One container. It is never root, has no capability, and cannot get one.

    Anyone who may use the engine can read `environment`: secret values are passed in another way. `early`: its command
    waits by itself until it is told to begin, so that it can start meanwhile. `takes_input`: see `input_of`.
    """

    name: str
    image: str
    argv: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    working_dir: str = "/"
    binds: tuple[Bind, ...] = ()
    network: str = "none"
    labels: dict[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    read_only: bool = False
    early: bool = False
    takes_input: bool = False


@dataclass(frozen=True)
class ContainerState:
    """What the engine says. `status`: created, running, paused, restarting, removing, exited or dead.

    `number` is the container's own: another one of the same name has another.
    """

    name: str
    number: str
    status: str
    exit_code: int
    out_of_memory: bool
    started_at: datetime | None
    finished_at: datetime | None
    labels: dict[str, str]

    @property
    def is_running(self) -> bool:
        return self.status in {"running", "paused", "restarting"}


@dataclass(frozen=True)
class PathFacts:
    """What is at a path inside a container; links are not followed."""

    size: int
    is_file: bool
    is_directory: bool


class DockerContainerEngine:
    """`base_url` None: what DOCKER_HOST says, or the usual socket. Makes no connection before the first call.

    Every method raises OrchestratorError DOCKER_UNREACHABLE (transient, says what to do) when the engine has not
    answered for `patience_s` seconds, and PROCESS_FAILED when it refuses.
    """

    def __init__(self, base_url: str | None = None, patience_s: float = _PATIENCE_S) -> None:
        self._base_url = base_url
        self._patience_s = patience_s
        self._calls = ThreadPoolExecutor(_THREADS, "docker")
        self._followers = ThreadPoolExecutor(_FOLLOWERS, "docker-output")
        self._connecting = threading.Lock()
        self._connected: Any = None

    async def create(self, spec: ContainerSpec) -> ContainerState:
        """Create the container, or adopt ours of that name; one that is not ours is refused with CONFLICT."""
        try:
            made = await self._call(lambda api: api.create_container(**_creation(api, spec)))
            labels = {MARK: "1", **spec.labels}
            return ContainerState(spec.name, str(made["Id"]), "created", 0, False, None, None, labels)
        except OrchestratorError as error:
            if error.code is not ErrorCode.ALREADY_EXISTS:
                raise
        state = await self.inspect(spec.name)
        if state is None:
            raise _refused(f"The container {spec.name} vanished while it was created.", ErrorClass.TRANSIENT)
        return state

    async def start(self, name: str) -> bool:
        """Start the container; starting a running one changes nothing.

        False for a container that the engine was starting when it was killed: the engine knows only half of it, and
        refuses. Its process may still run, unknown to the engine.
        """
        try:
            await self._call(lambda api: api.start(name))
        except OrchestratorError as error:
            if not _HALF_STARTED.search(error.message):
                raise
            return False
        return True

    async def inspect(self, name: str) -> ContainerState | None:
        """The container's state; None when there is none, or when it is being removed.

        Raises CONFLICT for a container that does not carry our mark: it is never started, stopped or removed.
        """
        found = await self._found(lambda api: api.inspect_container(name))
        if found is None:
            return None
        state = _state(name, found)
        if MARK not in state.labels:
            raise OrchestratorError(
                ErrorCode.CONFLICT,
                f"A container named {name} exists, but the platform did not create it. Rename or remove it.",
            )
        return None if state.status == "removing" else state

    async def wait(self, name: str, timeout_s: float) -> bool:
        """Whether the container is not running, as soon as that is so and at the latest after `timeout_s`."""

        def wait(api: Any) -> bool:  # noqa: ANN401 - the SDK has no types
            try:
                api.wait(name, timeout=timeout_s)
            except requests.exceptions.ReadTimeout:
                return False
            except requests.exceptions.ConnectionError as error:
                # What a read that takes too long becomes on a unix socket.
                if "timed out" in str(error).lower():
                    return False
                raise
            return True

        return await self._found(wait) in {True, None}

    async def stop(self, name: str, grace_s: float) -> None:
        """TERM, after `grace_s` KILL; nothing of it runs when this returns. Stopping what is gone is fine."""
        await self._found(lambda api: api.stop(name, timeout=max(0, round(grace_s))))

    async def remove(self, name: str) -> None:
        """Kill and remove the container with its anonymous volumes; fine if it does not exist."""
        if await self.inspect(name) is not None:
            await self._found(lambda api: api.remove_container(name, force=True, v=True))

    async def names(self, labels: dict[str, str]) -> list[str]:
        """Our containers with all of these labels, running or not."""
        wanted = [MARK, *(f"{key}={value}" for key, value in labels.items())]
        found = await self._call(lambda api: api.containers(all=True, filters={"label": wanted}))
        return sorted(one["Names"][0].lstrip("/") for one in found if one["Names"])

    async def copy_output(self, name: str, skip: int, write: Callable[[bytes], object], follow: bool = True) -> int:
        """Give the container's output after `skip` bytes to `write`; return the number of all bytes seen.

        With `follow` until the container ends or the engine closes the stream. `write` runs in another thread.
        """
        try:
            stream = await self._found(lambda api: api.logs(name, stream=True, follow=follow))
        except OrchestratorError as error:
            if error.code is not ErrorCode.CONFLICT:
                raise
            # It is being removed at this moment.
            stream = None
        if stream is None:
            return skip
        copying = asyncio.get_running_loop().run_in_executor(
            self._followers, docker_streams.copy_chunks, stream, skip, write
        )
        try:
            return await asyncio.shield(copying)
        except asyncio.CancelledError:
            # The thread sits in a read that ends with the connection.
            await asyncio.to_thread(docker_streams.close, stream)
            await asyncio.wait({copying})
            raise

    async def put_archive(self, name: str, directory: str, archive: bytes | Path) -> None:
        """Unpack a tar archive below `directory`; what exists is replaced. The container need not run."""

        def put(api: Any) -> None:  # noqa: ANN401 - the SDK has no types
            if isinstance(archive, bytes):
                api.put_archive(name, directory, archive)
                return
            with archive.open("rb") as file:
                api.put_archive(name, directory, file)

        await self._call(put)

    @asynccontextmanager
    async def input_of(self, name: str) -> AsyncIterator[Callable[[bytes], Awaitable[bool]] | None]:
        """The standard input of a container that is created and takes input: it gets one message, once it has started.

        That takes a tenth of the time of an archive. None where the engine does not give it, as behind the proxy of
        its socket; sending is False when the container or the engine has gone meanwhile.
        """
        try:
            raw = await self._call(lambda api: api.attach_socket(name, params={"stdin": 1, "stream": 1}))
        except OrchestratorError as error:
            if error.code is ErrorCode.DOCKER_UNREACHABLE:
                raise
            yield None
            return

        async def send(message: bytes) -> bool:
            return await asyncio.get_running_loop().run_in_executor(
                self._calls, docker_streams.send_all, raw, message, _CALL_TIMEOUT_S
            )

        try:
            yield send
        finally:
            docker_streams.close(raw)

    async def facts(self, name: str, path: str) -> PathFacts | None:
        """What is at `path`, or None."""

        def look(api: Any) -> PathFacts:  # noqa: ANN401 - the SDK has no types
            # The SDK has no call for it, and an archive, of which it reads the header only, takes the engine 80 ms.
            response = api.head(api._url("/containers/{0}/archive", name), params={"path": path})
            api._raise_for_status(response)
            return _facts(docker.utils.decode_json_header(response.headers["X-Docker-Container-Path-Stat"]))

        return await self._found(look)

    async def read_file(self, name: str, path: str, limit: int) -> bytes | None:
        """The regular file at `path`; None when there is none, or when it is larger than `limit` bytes."""

        def read(api: Any) -> bytes | None:  # noqa: ANN401 - the SDK has no types
            stream, stat = api.get_archive(name, path)
            try:
                found = _facts(stat)
                if not found.is_file or found.size > limit:
                    return None
                return docker_streams.only_member(stream, limit)
            finally:
                stream.close()

        return await self._found(read)

    async def save_file(self, name: str, path: str, target: Path, limit: int) -> bool:
        """Write the regular file at `path` to `target`; False when there is none, or it is larger than `limit`."""

        def save(api: Any) -> bool:  # noqa: ANN401 - the SDK has no types
            stream, stat = api.get_archive(name, path)
            try:
                found = _facts(stat)
                return found.is_file and found.size <= limit and docker_streams.save_member(stream, target, limit)
            finally:
                stream.close()

        return bool(await self._found(save))

    async def ensure_volume(self, name: str, labels: dict[str, str]) -> None:
        """Create the volume or adopt the one of that name."""
        await self._call(lambda api: api.create_volume(name, labels={MARK: "1", **labels}))

    async def volume_exists(self, name: str) -> bool:
        return await self._found(lambda api: api.inspect_volume(name)) is not None

    async def remove_volume(self, name: str) -> None:
        """Removing what is gone is fine; one that a container still has is refused with CONFLICT."""
        await self._found(lambda api: api.remove_volume(name))

    async def ensure_network(self, name: str) -> None:
        """A bridge whose members cannot reach each other. Two concurrent callers may both be told that it exists."""
        if await self._found(lambda api: api.inspect_network(name)) is not None:
            return
        try:
            await self._call(
                lambda api: api.create_network(
                    name,
                    driver="bridge",
                    check_duplicate=True,
                    labels={MARK: "1"},
                    ipam=IPAMConfig(),
                    options={"com.docker.network.bridge.enable_icc": "false"},
                )
            )
        except OrchestratorError as error:
            if error.code is not ErrorCode.ALREADY_EXISTS:
                raise

    async def has_image(self, tag: str) -> bool:
        return await self._found(lambda api: api.inspect_image(tag)) is not None

    async def ensure_image(self, tag: str) -> None:
        """Pull the image if it is missing. Raises PROCESS_FAILED (transient) that says how to get it."""
        if await self.has_image(tag):
            return
        repository, _, version = tag.partition(":")
        try:
            await self._call(lambda api: api.pull(repository, version))
        except OrchestratorError as error:
            if error.code is ErrorCode.DOCKER_UNREACHABLE:
                raise
            advice = f"The image {tag} is missing and cannot be pulled: {error.message} Run: make docker"
            raise _refused(bounded(advice, 1_500), ErrorClass.TRANSIENT) from error

    async def tag_image(self, image: str, tag: str) -> None:
        repository, _, version = tag.partition(":")
        await self._call(lambda api: api.tag(image, repository, version))

    async def commit(self, name: str, tag: str) -> None:
        """What our container has written, on top of its image, as the image `tag`. Volumes and /tmp are left out."""
        if await self.inspect(name) is None:
            raise _refused(f"The container {name} vanished.", ErrorClass.TRANSIENT)
        repository, _, version = tag.partition(":")
        await self._call(lambda api: api.commit(name, repository, version))

    async def remove_tag(self, tag: str, *, parents: bool = False) -> None:
        """Forget a tag; the image stays while it has another one, and what it was built on unless `parents` go, too."""
        await self._found(lambda api: api.remove_image(tag, noprune=not parents))

    async def build_image(self, context: bytes, tag: str, arguments: dict[str, str]) -> None:
        """Build from a tar archive with a Dockerfile. Raises PROCESS_FAILED with the end of the build's output."""

        def build(api: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - the SDK has no types
            return list(
                api.build(
                    fileobj=io.BytesIO(context), custom_context=True, tag=tag, rm=True, forcerm=True,
                    decode=True, buildargs=arguments, labels={MARK: "1"}, timeout=1800,
                )
            )  # fmt: skip

        output = await self._call(build)
        failed = [one["error"] for one in output if "error" in one]
        # The platform's own image: nobody else writes the words of these steps.
        if failed and _NO_SPACE in f"{failed[0]} {output[-3:]}".lower():
            raise disk_full(str(failed[0]))
        if failed:
            said = "".join(str(one.get("stream", "")) for one in output)
            raise _refused(f"The image could not be built: {failed[0]}", ErrorClass.TRANSIENT, said[-3000:])

    async def _found(self, work: Callable[[Any], _T]) -> _T | None:
        try:
            return await self._call(work)
        except OrchestratorError as error:
            if error.code is ErrorCode.NOT_FOUND:
                return None
            raise

    async def _call(self, work: Callable[[Any], _T]) -> _T:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(_Unreachable),
            wait=wait_exponential(0.2, max=2),
            stop=stop_after_delay(self._patience_s),
            reraise=True,
        ):
            with attempt:
                return await asyncio.get_running_loop().run_in_executor(self._calls, self._translated, work)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _translated(self, work: Callable[[Any], _T]) -> _T:
        try:
            return work(self._api())
        except errors.NotFound as error:
            # Whoever asks has made it, or seen it: somebody has removed it since, and the next attempt makes it again.
            reason = f"Docker did not find what was asked for: {_said(error)}"
            raise OrchestratorError.transient(ErrorCode.NOT_FOUND, reason) from error
        except errors.APIError as error:
            raise _api_error(error) from error
        except (requests.RequestException, errors.DockerException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _Unreachable(error) from error

    def _api(self) -> Any:  # noqa: ANN401 - the SDK has no types
        with self._connecting:
            if self._connected is None:
                self._connected = connect(self._base_url, _CALL_TIMEOUT_S)
            return self._connected


class _Unreachable(OrchestratorError):
    """The engine does not answer."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(
            ErrorCode.DOCKER_UNREACHABLE,
            "The Docker Engine does not answer. Start it (systemctl start docker, or make docker), check DOCKER_HOST, "
            "or set ORCHESTRATOR_RUNTIME=process to work without it.",
            error_class=ErrorClass.TRANSIENT,
            details={"cause": bounded(str(cause), 500)},
        )


def connect(base_url: str | None, timeout_s: float) -> Any:  # noqa: ANN401 - the SDK has no types
    """The SDK's client; raises what the SDK raises when nothing answers."""
    if base_url is not None:
        return docker.APIClient(base_url, version="auto", timeout=timeout_s)
    return docker.DockerClient.from_env(version="auto", timeout=timeout_s).api


def obstacle(image: str, base_url: str | None = None, timeout_s: float = 1.0) -> str | None:
    """Why containers cannot be used (no engine that answers in time, no `image`); None when they can. Blocks."""
    try:
        api = connect(base_url, timeout_s)
        try:
            api.inspect_image(image)
        finally:
            api.close()
    except errors.ImageNotFound:
        return f"the image {image} is missing (make docker gets it)"
    except (errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        return f"the Docker Engine does not answer ({bounded(str(error), 200)})"
    return None


def _creation(api: Any, spec: ContainerSpec) -> dict[str, Any]:  # noqa: ANN401 - the SDK has no types
    mounts = [
        Mount(one.target, one.source, type="bind" if one.host_path else "volume", read_only=one.read_only)
        for one in spec.binds
    ]
    host = api.create_host_config(
        mounts=mounts,
        network_mode=spec.network,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        mem_limit=spec.limits.memory_bytes,
        nano_cpus=round(min(spec.limits.cpus, _engine_cpus(api)) * 1e9),
        pids_limit=spec.limits.pids,
        read_only=spec.read_only,
        tmpfs={"/tmp": "rw,exec,nosuid,nodev,mode=1777"},
        log_config=LogConfig(type="json-file", config={"max-size": "64m", "max-file": "2"}),
        ulimits=[docker.types.Ulimit(name="core", soft=0, hard=0)],
    )
    return {
        "name": spec.name,
        "image": spec.image,
        "command": spec.argv,
        "environment": spec.environment,
        "working_dir": spec.working_dir,
        "user": "1000:1000",
        "labels": {MARK: "1", **spec.labels},
        "host_config": host,
        "stdin_open": spec.takes_input,
    }


def _engine_cpus(api: Any) -> float:  # noqa: ANN401 - the SDK has no types
    known = getattr(api, "_orchestrator_cpus", None)
    if known is None:
        known = float(api.info()["NCPU"])
        api._orchestrator_cpus = known
    return float(known)


def _state(name: str, found: dict[str, Any]) -> ContainerState:
    state = found["State"]
    ended = _moment(state["FinishedAt"])
    # One that an engine was starting when it was killed is taken over by the next without the time of its start, and
    # is shown as created again once it has ended.
    status = "exited" if state["Status"] == "created" and ended is not None else state["Status"]
    return ContainerState(
        name=name,
        number=str(found["Id"]),
        status=status,
        exit_code=int(state["ExitCode"]),
        out_of_memory=bool(state["OOMKilled"]),
        started_at=_moment(state["StartedAt"]),
        finished_at=ended,
        labels=dict(found["Config"]["Labels"] or {}),
    )


def _moment(text: str) -> datetime | None:
    return None if text.startswith("0001-") else datetime.fromisoformat(text)


def _facts(stat: dict[str, Any]) -> PathFacts:
    """The mode is Go's: kinds of files are its high bits."""
    mode = int(stat["mode"])
    return PathFacts(int(stat["size"]), is_file=mode <= _REGULAR_FILE, is_directory=bool(mode & _DIRECTORY))


_HALF_STARTED = re.compile(r"\btask [0-9a-f]{64}: already exists|\bid already in use\b")
"""Two ways of saying that containerd has a task of which Docker does not know."""


_NO_SPACE = "no space left on device"


def disk_full(said: str) -> OrchestratorError:
    """The error for an engine that has no room for images and containers."""
    return OrchestratorError(
        ErrorCode.DOCKER_DISK_FULL,
        "The disk of the Docker Engine is full. Free some space (`docker system df` shows what uses it); "
        "the work then continues by itself.",
        error_class=ErrorClass.TRANSIENT,
        details={"cause": bounded(said, 500)},
    )


def root_directory(timeout_s: float = 1.0) -> str | None:
    """Where the engine keeps images and containers; None without an engine. Blocks."""
    try:
        api = connect(None, timeout_s)
        try:
            return str(api.info()["DockerRootDir"])
        finally:
            api.close()
    except (errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError, KeyError):
        return None


def _api_error(error: errors.APIError) -> OrchestratorError:
    said = _said(error)
    if error.status_code == 409 and re.search(r"already (in use|exists)", said):
        return OrchestratorError(ErrorCode.ALREADY_EXISTS, said)
    if error.status_code == 409:
        return OrchestratorError(ErrorCode.CONFLICT, said, error_class=ErrorClass.TRANSIENT)
    if error.is_server_error() and _NO_SPACE in said.lower():
        return disk_full(said)
    kind = ErrorClass.TRANSIENT if error.is_server_error() else ErrorClass.PERMANENT
    return _refused(f"Docker refused: {said}", kind)


def _said(error: errors.APIError) -> str:
    return bounded(str(error.explanation or error), 1000)


def _refused(message: str, kind: ErrorClass, output: str = "") -> OrchestratorError:
    return OrchestratorError(ErrorCode.PROCESS_FAILED, message, error_class=kind, details={"output": output})
