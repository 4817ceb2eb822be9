"""A server in a container of this machine: systemd, SSH with one key, sudo, and a Docker Engine of its own.

Create or adopt by name: the container comes back with the outer engine, its address is fixed, and what is deployed
to it lives in volumes. The engine of a new one starts with a copy of an engine that was prepared once on this machine.
`python -m activities.adapters.servers.container` makes image and prepared engine ahead of their first use.
"""

import asyncio
import contextlib
import hashlib
import ipaddress
import json
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

import activities
from activities.adapters.containers import command as docker
from activities.adapters.packages.registry_access import registry_files
from activities.adapters.release.directory import write_private
from activities.adapters.runs.file_lock import file_lock, machine_lock
from activities.adapters.servers.engine_volumes import (
    copy_volume,
    is_ready,
    mark_ready,
    remove_half_copy,
    remove_volume,
)
from activities.adapters.servers.remote_shell import ServerAccess
from activities.adapters.servers.service_layers import build_layers, digest_of, layer_sources
from contracts.errors import ErrorCode, OrchestratorError, end_of
from runtime.embedded.local_servers import LABEL, container_name

log = structlog.get_logger(__name__)

NETWORK = "orchestrator-servers"
BASE_IMAGE = "debian:bookworm-slim"
USER = "orchestrator"
SSH_PORT = 22
_AUTHORISED = f"/home/{USER}/.ssh/authorized_keys"
_DOCKERFILE = Path(activities.__file__).resolve().parents[1] / "infra" / "images" / "server.Dockerfile"
# SYS_TIME among others must never stay in: a server that sets its time zone would move the clock of the host.
_DROPPED = ("SYS_RESOURCE", "SYS_TIME", "SYS_MODULE", "SYS_BOOT", "SYS_RAWIO")
_NETWORK_GONE = re.compile(r"network \S+ not found")
_BUILD_S = 1800.0
_PREPARE_S = 120.0
"""How long a new server is kept waiting for an engine that makes its first release faster."""
_START_S = 90.0
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class LocalServers:
    """The local servers of one installation. `home` is its state directory."""

    home: Path
    _prepared: dict[str, tuple[str, ServerAccess]] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By handle: the start of a server's container since which this is how it is reached."""

    def container(self, handle: str) -> str:
        """The name of the server's container: two installations on one machine have servers of their own."""
        return container_name(self.home, handle)

    async def access(self, handle: str) -> ServerAccess:
        """Create or adopt the server, start it if it is stopped, and wait until SSH and its engine answer.

        Takes about 5 s for a new one when image and prepared engine are there, two minutes more for the first on a
        machine, and 0.2 s for one that works and was prepared since its start. Raises OrchestratorError:
        SERVER_UNREACHABLE (transient) when the server does not become ready or stops meanwhile, PROCESS_FAILED when
        there can be none.
        """
        keys = self.home / "keys" / "ssh"
        start, access = self._prepared.get(handle, ("", None))
        if access and start == await _running_since(self.container(handle)) and await self._is_well(handle, access):
            return access
        async with file_lock(keys / f".{handle}.lock"):
            self._prepared[handle] = await self._ensure(handle, keys)
        return self._prepared[handle][1]

    async def _is_well(self, handle: str, access: ServerAccess) -> bool:
        """Whether SSH and the engine answer, and what was prepared is there still."""
        public = access.key_file.with_suffix(".pub")
        if not all(file.exists() for file in (access.key_file, public, access.known_hosts_file)):
            return False
        look = (
            f"systemctl is-active --quiet ssh.service && docker image inspect {BASE_IMAGE}"
            f' && grep -qxF "$1" {_AUTHORISED}'
        )
        reply = await _inside(self.container(handle), "sh", "-c", look, "sh", public.read_text().strip())
        return reply.code == 0

    async def remove(self, handle: str) -> None:
        """Remove the container, its volumes and keys. For servers that are no longer needed; repeatable."""
        name = self.container(handle)
        await _discard(name)
        keys = self.home / "keys" / "ssh"
        for file in (handle, f"{handle}.pub", f"{handle}.known_hosts"):
            (keys / file).unlink(missing_ok=True)

    async def handles(self) -> list[str]:
        """Those whose containers are there, running or not."""
        form = f'{{{{.Names}}}} {{{{.Label "{LABEL}"}}}}'
        text = await docker.run("ps", "--all", "--filter", f"label={LABEL}", "--format", form)
        pairs = [line.split() for line in text.splitlines()]
        return sorted(handle for name, handle in pairs if name == self.container(handle))

    async def _ensure(self, handle: str, keys: Path) -> tuple[str, ServerAccess]:
        name, key = self.container(handle), keys / handle
        if not (key.exists() and key.with_suffix(".pub").exists()):
            await _new_key(key, f"{USER}@{name}")
        if not await _exists(name):
            image = await ensure_image()
            await _give_engine(name, image)
            await _create_container(name, handle, image)
        try:
            return await self._make_ready(handle, keys)
        except OrchestratorError as error:
            if error.code is not ErrorCode.PROCESS_FAILED:
                raise
            # It was there a moment ago, so whatever it refuses now passes: it stops, restarts or is being replaced.
            reason = f"The server {handle} is not ready: {error.message}"
            raise OrchestratorError.transient(ErrorCode.SERVER_UNREACHABLE, reason) from error

    async def _make_ready(self, handle: str, keys: Path) -> tuple[str, ServerAccess]:
        name, key, known_hosts = self.container(handle), keys / handle, keys / f"{handle}.known_hosts"
        await _start(name)
        start = await _running_since(name)
        await _wait(name, "systemctl", "is-active", "--quiet", "ssh.service")
        address = await _address(name)
        access = ServerAccess(handle, address, SSH_PORT, USER, key, known_hosts)
        await _authorise(name, key)
        await _learn_host_key(name, access)
        await _load_base_image(name)
        return start, access


async def _create_container(name: str, handle: str, image: str, restart: str = "unless-stopped") -> None:
    await _ensure_network()
    cgroup_version, memory = (await docker.run("info", "--format", "{{.CgroupVersion}} {{.MemTotal}}")).split()
    # Two that look at the same time find the same address free; the second notices only when it starts.
    async with machine_lock("server-addresses"):
        for address in await _free_addresses():
            reply = await docker.try_run(
                *_creation(name, handle, address, cgroup_version, restart), *_limits(memory), image
            )
            if reply.code == 0:
                return
            await docker.try_run("rm", "--force", name)
            if "Address already in use" not in reply.error:
                reason = f"The server cannot be created: {end_of(reply.error.strip(), 500)}"
                raise OrchestratorError(ErrorCode.PROCESS_FAILED, reason)
    raise OrchestratorError(ErrorCode.PROCESS_FAILED, f"The network {NETWORK} has no free address.")


def _creation(name: str, handle: str, address: str, cgroup_version: str, restart: str) -> list[str]:
    images, data = _volumes(name)
    arguments = ["create", "--name", name, "--hostname", handle, "--label", f"{LABEL}={handle}"]
    arguments += ["--network", NETWORK, "--ip", address, "--restart", restart]
    arguments += ["--cap-add", "ALL", *(part for one in _DROPPED for part in ("--cap-drop", one))]
    arguments += ["--security-opt", "seccomp=unconfined", "--device-cgroup-rule", "a *:* rwm"]
    arguments += ["--tmpfs", "/run", "--tmpfs", "/run/lock", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
    if cgroup_version == "2":
        arguments += ["--cgroupns", "host"]
    arguments += ["--volume", f"{images}:/var/lib/docker", "--volume", f"{data}:/srv"]
    return [*arguments, "--log-opt", "max-size=10m"]


def _limits(memory: str) -> list[str]:
    """What is deployed leaves a quarter of the machine's `memory`, in bytes, to the platform and its owner."""
    return ["--memory", str(int(memory) * 3 // 4), "--pids-limit", "8192"]


def _volumes(name: str) -> tuple[str, str]:
    return f"{name}-docker", f"{name}-srv"


async def _discard(name: str) -> None:
    await docker.try_run("rm", "--force", "--volumes", name)
    for volume in _volumes(name):
        await remove_volume(volume)


async def _start(name: str) -> None:
    """Start the server and wait until its engine answers. Starting a running one changes nothing."""
    if await docker.run("inspect", "--format", "{{.State.Status}}", name) == "created":
        await _configure_engine(name)
    try:
        await docker.run("start", name)
    except OrchestratorError as error:
        if _NETWORK_GONE.search(error.message):
            # What a prune takes from a stopped server. Everything of a server is in volumes: the next attempt makes
            # the container anew.
            await docker.run("rm", "--force", name)
        raise
    await _wait(name, "docker", "info")


async def _give_engine(name: str, image: str) -> None:
    """A copy of the prepared engine, for a server that has none yet. It only saves time: others start empty."""
    engine, _ = _volumes(name)
    try:
        async with asyncio.timeout(_PREPARE_S):
            await copy_volume(await prepared_engine(image), engine, image)
    except (OrchestratorError, OSError) as error:
        said = error.message if isinstance(error, OrchestratorError) else repr(error)
        log.warning("the first release on this server takes longer: its engine is not prepared", reason=said)
        await remove_half_copy(engine, image)


async def prepared_engine(image: str) -> str:
    """The volume of an engine with the base image and the layers that images of new projects begin with.

    Its name changes with its sources. If it is missing, it is made (a minute, with the network).
    """
    registry = await asyncio.to_thread(registry_files)
    await ensure_base_image()
    base = await docker.run("image", "inspect", "--format", "{{.Id}}", BASE_IMAGE)
    name = f"orchestrator-server-layers-{digest_of(registry, base, image)}"
    engine, _ = _volumes(name)
    async with machine_lock("server-layers"):
        if not await is_ready(engine, image):
            await _prepare_engine(name, image, registry)
    return engine


async def _prepare_engine(name: str, image: str, registry: Mapping[str, str]) -> None:
    """Prepare the engine in a temporary server. What an interrupted attempt left is removed first."""
    log.info("preparing the engine of new servers", name=name)
    engine, data = _volumes(name)
    await _discard(name)
    try:
        with tempfile.TemporaryDirectory() as place:
            sources = await layer_sources(Path(place), registry)
            await _create_container(name, "layers", image, restart="no")
            await _start(name)
            await _load_base_image(name)
            for one in sources:
                await build_layers(name, one)
        await docker.run("stop", "--time", "30", name)
        await docker.run("rm", name)
        await remove_volume(data)
        await mark_ready(engine, image)
    except BaseException:
        await _discard(name)
        raise
    log.info("prepared the engine of new servers", name=name)


async def ensure_image() -> str:
    """The image under a tag that changes with its Dockerfile, so an old image is never used for a new Dockerfile."""
    content = _DOCKERFILE.read_bytes()
    tag = f"orchestrator-server:{hashlib.sha256(content).hexdigest()[:16]}"
    async with machine_lock("server-image"):
        if (await docker.try_run("image", "inspect", tag)).code != 0:
            # The network of the host, so that names of package registries resolve as they do here.
            build = ("build", "--network", "host", "--force-rm", "--label", f"{LABEL}=image", "--tag", tag, "-")
            await docker.run(*build, stdin=content, timeout_s=_BUILD_S)
    return tag


async def ensure_base_image() -> None:
    """The image of this machine's engine that a server's engine gets, also after somebody has removed it."""
    if (await docker.try_run("image", "inspect", BASE_IMAGE)).code == 0:
        return
    reply = await docker.try_run("pull", "--quiet", BASE_IMAGE, timeout_s=600)
    if reply.code != 0:
        said = end_of(reply.error.strip(), 500)
        reason = f"The image {BASE_IMAGE} is missing and cannot be pulled: {said}\nRun: make docker"
        raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason)


async def _ensure_network() -> None:
    """Only a network whose range we chose gives fixed addresses; the first free range is taken."""
    if (await docker.try_run("network", "inspect", NETWORK)).code == 0:
        return
    for number in range(213, 245):
        reply = await docker.try_run(
            "network", "create", "--driver", "bridge", "--label", f"{LABEL}=network",
            "--subnet", f"10.{number}.0.0/24", NETWORK,
        )  # fmt: skip
        if reply.code == 0 or "already exists" in reply.error:
            return
        if "overlaps" not in reply.error:
            raise OrchestratorError(
                ErrorCode.PROCESS_FAILED, f"The network cannot be created: {end_of(reply.error.strip(), 500)}"
            )
    raise OrchestratorError(
        ErrorCode.PROCESS_FAILED,
        f"No address range is free for the network {NETWORK}. Remove Docker networks that you do not need.",
    )


async def _free_addresses() -> list[str]:
    """Addresses that no server has, running or not: the engine itself does not keep those of stopped ones."""
    network = json.loads(await docker.run("network", "inspect", NETWORK))[0]
    names = (await docker.run("ps", "--all", "--quiet", "--filter", f"label={LABEL}")).split()
    taken = {network["IPAM"]["Config"][0].get("Gateway")} | {await _address(name) for name in names}
    hosts = [str(host) for host in ipaddress.ip_network(network["IPAM"]["Config"][0]["Subnet"]).hosts()]
    return [host for host in hosts[1:] if host not in taken]


async def _address(name: str) -> str:
    """The server's address; empty while its container is being removed."""
    network = f'{{{{with index .NetworkSettings.Networks "{NETWORK}"}}}}'
    form = network + "{{with .IPAMConfig}}{{.IPv4Address}}{{end}}{{end}}"
    reply = await docker.try_run("inspect", "--format", form, name)
    if reply.code != 0 and not reply.absent:
        reason = f"The address of {name} cannot be read: {end_of(reply.error.strip(), 500)}"
        raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason)
    return reply.text.strip()


async def _running_since(name: str) -> str:
    """Which container of this name runs, and since which start; empty when none does."""
    form = "{{if .State.Running}}{{.Id}} {{.State.StartedAt}}{{end}}"
    return (await docker.try_run("inspect", "--format", form, name)).text.strip()


async def _exists(name: str) -> bool:
    """Whether our container is there; one of that name that is not ours is refused."""
    reply = await docker.try_run("inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', name)
    if reply.absent:
        return False
    if not reply.text:
        raise OrchestratorError(
            ErrorCode.CONFLICT,
            f"A container named {name} exists, but the platform did not create it. Rename or remove it.",
        )
    return True


async def _configure_engine(name: str) -> None:
    """Use the same name servers inside as on this machine; the embedded one of a network does not work there."""
    servers = _name_servers()
    if not servers:
        return
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "daemon.json")
        file.write_text(json.dumps({"dns": servers}))
        await docker.run("cp", str(file), f"{name}:/etc/docker/daemon.json")


def _name_servers() -> list[str]:
    for file in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        with contextlib.suppress(OSError):
            words = [line.split() for line in file.read_text().splitlines()]
            found = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]
            outside = [address for address in found if not address.startswith("127.") and address != "::1"]
            if outside:
                return outside
    return []


async def _new_key(key: Path, comment: str) -> None:
    """Create a key with mode 0600; an incomplete pair is created again."""
    for file in (key, key.with_suffix(".pub")):
        file.unlink(missing_ok=True)
    reply = await docker.run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(key)])
    if reply.code != 0:
        raise OrchestratorError(
            ErrorCode.PROCESS_FAILED, f"No SSH key could be created: {end_of(reply.error.strip(), 500)}"
        )


async def _authorise(name: str, key: Path) -> None:
    """Exactly our key may log in, and the host keys exist."""
    draft = f"{_AUTHORISED}.new"
    script = (
        f"install -d -m 700 -o {USER} -g {USER} {Path(_AUTHORISED).parent} && cat > {draft}"
        f" && chown {USER}: {draft} && chmod 600 {draft} && mv {draft} {_AUTHORISED}"
    )
    public = key.with_suffix(".pub").read_bytes()
    await docker.run("exec", "--interactive", name, "sh", "-c", script, stdin=public)


async def _learn_host_key(name: str, access: ServerAccess) -> None:
    """Through the engine instead of the network, where it could be intercepted. At every preparation: another container
    of this name has another key, and may have another address."""
    public = await docker.run("exec", name, "cat", "/etc/ssh/ssh_host_ed25519_key.pub")
    kind, key = public.split()[:2]
    line = f"{access.host} {kind} {key}\n"
    if not access.known_hosts_file.exists() or access.known_hosts_file.read_text() != line:
        write_private(access.known_hosts_file, line)


async def _load_base_image(name: str) -> None:
    """The image that projects start from, without a registry."""
    if (await _inside(name, "docker", "image", "inspect", BASE_IMAGE)).code == 0:
        return
    await ensure_base_image()
    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory, "image.tar")
        await docker.run("save", "--output", str(archive), BASE_IMAGE, timeout_s=300)
        load = ("sh", "-c", "exec docker load 2>&1")
        await docker.run("exec", "--interactive", name, *load, stdin=archive, timeout_s=300)


async def _inside(name: str, *command: str) -> docker.Reply:
    """The reply of a command in the server, errors included: they are not errors of this machine's engine."""
    return await docker.try_run("exec", name, "sh", "-c", 'exec "$@" 2>&1', "sh", *command)


async def _wait(name: str, *command: str) -> None:
    """Ask inside until the answer is yes: a container has no event for what becomes ready in it."""
    tries = AsyncRetrying(
        retry=retry_if_result(lambda reply: reply.code != 0),
        stop=stop_after_delay(_START_S),
        wait=wait_fixed(_LOOK_EVERY_S),
    )
    try:
        await tries(_inside, name, *command)
    except RetryError as failure:
        reply: docker.Reply = failure.last_attempt.result()
        reason = (
            f"The server {name} is not ready: {' '.join(command)}: {end_of((reply.error or reply.text).strip(), 500)}"
        )
        raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason) from None


async def _make_ahead() -> str:
    image = await ensure_image()
    try:
        engine = f"The prepared engine {await prepared_engine(image)} exists."
    except OrchestratorError as error:
        engine = f"No engine is prepared, so first releases take longer: {error.message}"
    return f"The image {image} exists.\n{engine}\n"


def main() -> None:
    try:
        sys.stdout.write(asyncio.run(_make_ahead()))
    except OrchestratorError as error:
        sys.exit(f"{error.code}: {error.message}")


if __name__ == "__main__":
    main()
