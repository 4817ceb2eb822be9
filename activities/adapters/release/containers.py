"""The services of a release as containers of this machine's engine, all from one image. Runs on the server."""

import asyncio
import hashlib
import json
import os
import shlex
import shutil
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from activities.adapters.containers import command as docker
from activities.adapters.containers.interrupted_builds import shm_size, was_left_by
from activities.adapters.release import directory
from activities.adapters.release import engine_socket as engine
from activities.adapters.release.directory import ProjectPlace
from activities.adapters.release.door.switching import ServicesBehindDoor
from activities.adapters.release.door.unit import server_door
from activities.adapters.release.networks import LABEL, ensure_network, fixed_addresses, network_name, remove_network
from activities.adapters.release.order import Order
from activities.adapters.release.services import (
    LOOPBACK,
    RAW_TAIL,
    Built,
    Phase,
    Release,
    ReleasedService,
)
from activities.adapters.runs.states import RunAs, RunState, RunStatus
from contracts.errors import ErrorCode, OrchestratorError, end_of

PROJECT_LABEL = LABEL
RELEASE_LABEL = "orchestrator.release"
COMMIT_LABEL = "orchestrator.commit"
PORT_LABEL = "orchestrator.port"
CONTENT_LABEL = "orchestrator.content"
"""Of an image: the digest of what it was built from."""
_CONTEXT = "context.tar"
_INTERPRETER = "python3"
"""What `{python}` is inside an image: the first of that name on its PATH."""
_STOP_GRACE_S = 3
_START_S = 60.0
_WAIT_S = 24 * 3600.0
_ROOM_BYTES = 50_000_000
_ROOM_NAMES = 1_000
"""With less on its disk an engine can neither build nor start anything."""
_GONE = 404
"""The engine's status for an image or a container that it does not have."""
_PRUNED_BEFORE_S = 60
"""So long before a build its base image may have been seen for the last time."""
_ENVIRONMENT = "/run/orchestrator/environment"
_DATA = "/data"
# Variables come from a mounted file: what a container was created with can always be read with `docker inspect`.
_LOAD_ENVIRONMENT = f'set -a; . {_ENVIRONMENT}; set +a; exec "$@"'
_CONFINED: dict[str, Any] = {
    "CapDrop": ["ALL"],
    "Init": True,
    "SecurityOpt": ["no-new-privileges"],
    "PidsLimit": 512,
    "Memory": 1024**3,
    "LogConfig": {"Config": {"max-size": "10m", "max-file": "2"}},
}


@dataclass(frozen=True, kw_only=True)
class ReleaseContainers(ServicesBehindDoor):
    """Each project has a numeric user and a network of its own."""

    disk_full: ClassVar[ErrorCode] = ErrorCode.DOCKER_DISK_FULL
    building: ClassVar[str] = "Build the image"
    takes_over: ClassVar[bool] = True
    user: RunAs
    _creating: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False, compare=False)
    """Two services that are started at once must not choose the same address."""

    @property
    def switch_title(self) -> str:
        if self.door is not None:
            return super().switch_title
        return "Switch to the new release (without a front door: the previous one is stopped first)"

    async def check_out(self, release_id: str, commit: str) -> None:
        """Keep the archive, which follows the order, until the image is built."""
        context = self._context(release_id)
        context.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = context.with_suffix(".draft")
        with draft.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        draft.replace(context)

    async def is_built(self, recorded: dict[str, Any] | None) -> bool:
        return recorded is not None and await engine.find(f"/images/{recorded['image']}/json") is not None

    async def build(self, release_id: str, commit: str, timeout_s: float, recorded: dict[str, Any] | None) -> Built:
        """The image of exactly this commit, or the recorded one."""
        if recorded is not None and await self.is_built(recorded):
            return Built(_INTERPRETER, image=recorded["image"])
        context = self._context(release_id)
        built = Built(_INTERPRETER, image=await build_image(self.place, release_id, commit, context, timeout_s))
        context.unlink()
        return built

    async def stop_project(self) -> None:
        await super().stop_project()
        await remove_network(self.place.slug)

    async def return_to(self, failed: str, previous: str | None) -> None:
        await super().return_to(failed, previous)
        if previous is None:
            await remove_network(self.place.slug)

    async def forget(self, release_id: str | None = None) -> None:
        """What a container still uses stays."""
        reference = image_tag(self.place, release_id or "*")
        for tag in (await docker.run("images", "--format", "{{.Repository}}:{{.Tag}}", reference)).split():
            await docker.try_run("image", "rm", tag)

    def _context(self, release_id: str) -> Path:
        return self.place.release(release_id) / _CONTEXT

    async def names(self) -> list[str]:
        return sorted(one["Names"][0].lstrip("/") for one in await self._containers() if one["Names"])

    async def _containers(self) -> list[dict[str, Any]]:
        ours = json.dumps({"label": [f"{PROJECT_LABEL}={self.place.slug}"]})
        found: list[dict[str, Any]] = await engine.call("GET", "/containers/json", {"all": 1, "filters": ours})
        return found

    async def state(self, name: str) -> RunStatus:
        """`lost`: created but never started, or in an unexpected state."""
        found = await engine.find(f"/containers/{name}/json")
        return _status(name, found["State"], found["RestartCount"]) if found else RunStatus(name, "absent")

    async def ended(self, name: str) -> object:
        return await engine.try_call("POST", f"/containers/{name}/wait", timeout_s=_WAIT_S)

    async def tail(self, name: str) -> str:
        reply = await docker.try_run("logs", "--tail", "60", name)
        return (reply.text + "\n" + reply.error)[-RAW_TAIL:]

    async def stop(self, name: str) -> None:
        # Without this it might start again while it is being stopped.
        await engine.try_call("POST", f"/containers/{name}/update", {"RestartPolicy": {"Name": "no"}})
        await engine.try_call("POST", f"/containers/{name}/stop", query={"t": _STOP_GRACE_S})
        await engine.try_call("DELETE", f"/containers/{name}", query={"force": 1, "v": 1})

    async def launch(
        self, name: str, release: Release, service: ReleasedService, phase: Phase, data: Path
    ) -> tuple[str, int]:
        if (state := (await self.state(name)).state) != "running":
            if state != "absent":
                await self.stop(name)
            reply = await self._create(name, release, service, phase, data)
            if reply.ok:
                reply = await engine.try_call("POST", f"/containers/{name}/start", timeout_s=_START_S)
            if not reply.ok:
                raise await _not_started(service, reply)
        if phase == "live":
            return await self.private_address(name) or (release.near, service.port)
        # One that has ended already has no address; looking at it tells that, and why.
        return await self._given_address(name) or LOOPBACK, service.port

    async def _create(
        self, name: str, release: Release, service: ReleasedService, phase: Phase, data: Path
    ) -> engine.Answer:
        wanted = self._creation(release, service, phase, data)
        network = await ensure_network(self.place.slug)
        wanted["HostConfig"]["NetworkMode"] = network
        async with self._creating:
            endpoint: dict[str, Any] = {}
            if phase == "live":
                endpoint["Aliases"] = [service.name]
                if self.door is not None:
                    endpoint["IPAMConfig"] = {"IPv4Address": await self._choose_address(release, service)}
            wanted["NetworkingConfig"] = {"EndpointsConfig": {network: endpoint}}
            return await engine.try_call("POST", "/containers/create", wanted, {"name": name})

    async def _choose_address(self, release: Release, service: ReleasedService) -> str:
        """One that no container of the project has, running or not. That of before is chosen again: a visitor who waits
        while the service is started again waits for this address."""
        network = network_name(self.place.slug)
        kept = self.place.release(release.release_id) / f"{service.name}.address"
        taken = {_fixed(one, network) for one in await self._containers()}
        free = [address for address in await fixed_addresses(self.place.slug) if address not in taken]
        before = kept.read_text() if kept.exists() else ""
        if not free:
            reason = f"The network {network} of the project has no free address. Stop the project and deploy again."
            raise OrchestratorError(ErrorCode.PLAYBOOK_FAILED, reason)
        address = before if before in free else free[0]
        directory.write_private(kept, address)
        return address

    async def private_address(self, name: str) -> tuple[str, int] | None:
        found = await engine.find(f"/containers/{name}/json")
        address = _fixed(found, network_name(self.place.slug)) if found else None
        return None if found is None or address is None else (address, int(found["Config"]["Labels"][PORT_LABEL]))

    async def _given_address(self, name: str) -> str | None:
        networks = (await engine.call("GET", f"/containers/{name}/json"))["NetworkSettings"]["Networks"].values()
        return next((one["IPAddress"] for one in networks if one["IPAddress"]), None)

    def _creation(self, release: Release, service: ReleasedService, phase: Phase, data: Path) -> dict[str, Any]:
        file, port = self._environment_file(release, service, phase), f"{service.port}/tcp"
        mounts = [
            {"Type": "bind", "Source": str(file), "Target": _ENVIRONMENT, "ReadOnly": True},
            {"Type": "bind", "Source": str(data), "Target": _DATA},
        ]
        live: dict[str, Any] = {"RestartPolicy": {"Name": "unless-stopped"}}
        if self.door is None:
            live["PortBindings"] = {port: [{"HostIp": release.bind, "HostPort": str(service.port)}]}
        return {
            "HostConfig": _CONFINED | {"Mounts": mounts} | (live if phase == "live" else {}),
            "Image": release.image,
            "Entrypoint": ["/bin/sh"],
            "Cmd": ["-c", _LOAD_ENVIRONMENT, "sh", *service.argv],
            "Env": [f"PORT={service.port}"],
            "ExposedPorts": {port: {}},
            "User": f"{self.user.uid}:{self.user.gid}",
            "Labels": {
                PROJECT_LABEL: self.place.slug,
                RELEASE_LABEL: release.release_id,
                COMMIT_LABEL: release.commit,
                PORT_LABEL: str(service.port),
                "orchestrator.service": service.name,
            },
        }

    def _environment_file(self, release: Release, service: ReleasedService, phase: Phase) -> Path:
        """`NAME='value'` lines for a shell, readable for the user of the service only."""
        values = directory.read_environment(self.place, release.release_id, service.name)
        values = {"HOME": _DATA, "LANG": "C.UTF-8"} | values
        values |= {"HOST": "0.0.0.0", "DATA_DIR": _DATA, "RELEASE_PHASE": phase}
        file = self.place.release(release.release_id) / "env" / f"{service.name}.{phase}.sh"
        text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(values.items()))
        directory.write_private(file, text)
        os.chown(file, self.user.uid, self.user.gid)
        return file


def _fixed(container: dict[str, Any], network: str) -> str | None:
    """The address of the network that the container always has; None for one that takes what it gets."""
    endpoint = container["NetworkSettings"]["Networks"].get(network) or {}
    return (endpoint.get("IPAMConfig") or {}).get("IPv4Address")


async def _not_started(service: ReleasedService, reply: engine.Answer) -> OrchestratorError:
    await _refuse_full_disk()
    if reply.status == _GONE:
        return _removed(f"what service {service.name} starts from")
    return OrchestratorError(ErrorCode.PLAYBOOK_FAILED, f"Service {service.name} cannot be started: {reply.error}")


def image_tag(place: ProjectPlace, release_id: str) -> str:
    return f"svc-{place.slug}:{release_id}"


async def build_image(place: ProjectPlace, release_id: str, commit: str, context: Path, timeout_s: float) -> str:
    """Build from a tar archive, once for a commit; the image's id.

    Raises PLAYBOOK_FAILED with the end of the build's output.
    """
    await _tidy_after_interrupted_builds(place)
    tag = image_tag(place, release_id)
    with context.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    labels = {PROJECT_LABEL: place.slug, COMMIT_LABEL: commit, CONTENT_LABEL: content}
    same = {"filters": json.dumps({"label": [f"{name}={value}" for name, value in labels.items()]})}
    if built := await engine.call("GET", "/images/json", same):
        await docker.run("tag", built[0]["Id"], tag)
        return str(built[0]["Id"])
    arguments = [part for name, value in labels.items() for part in ("--label", f"{name}={value}")]
    # The network of the server: names of package registries resolve as they do there.
    arguments += ["--network", "host", "--force-rm", "--shm-size", str(shm_size(place.slug))]
    argv = [docker.program(), "build", *arguments, "--tag", tag, "-"]
    await _build(argv, context, timeout_s)
    found = await engine.find(f"/images/{tag}/json")
    if found is None:
        raise _removed(f"the image {tag}")
    return str(found["Id"])


async def _build(argv: list[str], context: Path, timeout_s: float) -> None:
    """A build fetches packages over a network that may be away meanwhile, which its words do not prove: one that fails
    is tried once more. What has failed by itself fails again, from its last good step on."""
    for _ in range(2):
        began = time.time()
        # What a Dockerfile runs may write without end, and whatever it likes.
        reply = await docker.run_program(argv, stdin=context, timeout_s=timeout_s, keep=RAW_TAIL)
        if reply.cut_off:
            raise docker.unreachable(reply)
        if reply.code == 0:
            return
        await _refuse_full_disk()
        await _refuse_pruned_engine(began)
    said = f"{end_of(reply.text, 1_500)}\n{end_of(reply.error, 1_500)}".strip()
    raise OrchestratorError(ErrorCode.PLAYBOOK_FAILED, f"The image cannot be built:\n{said}")


async def _tidy_after_interrupted_builds(place: ProjectPlace) -> None:
    """Remove the containers of steps that nobody carries out any more: one build of a project runs at a time."""
    for one in await engine.call("GET", "/containers/json", {"all": 1}):
        path = f"/containers/{one['Id']}"
        found = await engine.find(f"{path}/json")
        if found is not None and was_left_by(place.slug, found):
            await engine.try_call("DELETE", path, query={"force": 1, "v": 1})


async def _refuse_full_disk() -> None:
    """Raises DOCKER_DISK_FULL (transient) if the engine has no room: then its refusal says nothing about the project.

    What a build prints is the project's own text, so its words do not count.
    """
    facts = os.statvfs((await engine.call("GET", "/info"))["DockerRootDir"])
    if facts.f_bavail * facts.f_frsize < _ROOM_BYTES or (facts.f_files > 0 and facts.f_favail < _ROOM_NAMES):
        reason = "The disk of the server's Docker Engine is full. Free some space; the deploy then continues by itself."
        raise OrchestratorError.transient(ErrorCode.DOCKER_DISK_FULL, reason)


async def _refuse_pruned_engine(since: float) -> None:
    """Raises PLAYBOOK_LOST (transient) if images that are not of a project were removed since then: what a build starts
    from may be among them.

    What a build prints is the project's own text, so the engine's own record decides.
    """
    span = ("--since", str(int(since) - _PRUNED_BEFORE_S), "--until", str(int(time.time()) + 1))
    kinds = [part for kind in ("type=image", "event=untag", "event=prune") for part in ("--filter", kind)]
    form = f'{{{{.Action}}}} {{{{index .Actor.Attributes "{PROJECT_LABEL}"}}}}'
    happened = await docker.run("events", *span, *kinds, "--format", form)
    if any(len(line.split()) == 1 for line in happened.splitlines()):
        raise _removed("what the image is built from")


def _removed(what: str) -> OrchestratorError:
    reason = f"On the server, {what} was removed from the Docker Engine meanwhile, as a prune does; trying again."
    return OrchestratorError.transient(ErrorCode.PLAYBOOK_LOST, reason)


def _status(name: str, state: dict[str, Any], restarts: int) -> RunStatus:
    known: dict[str, RunState] = {"running": "running", "restarting": "exited", "exited": "exited", "dead": "exited"}
    started = state["StartedAt"]
    return RunStatus(
        name,
        known.get(state["Status"], "lost"),
        pid=state["Pid"] or None,
        exit_code=state["ExitCode"],
        restarts=restarts,
        started_at=None if started.startswith("0001") else datetime.fromisoformat(started[:19]),
    )


def services_of(order: Order, place: ProjectPlace) -> ReleaseContainers:
    user = directory.service_user(place, Path(order.services_dir))
    door = server_door(Path(order.services_dir), order.backend.get("door", ""))
    return ReleaseContainers(place=place, user=user, start_timeout_s=order.start_timeout_s, door=door)
