"""A bare machine: a container with systemd, SSH for root, Python, and nothing else.

Debian's archives of what the roles install are in its image, so that no test waits for a mirror.
"""

import hashlib
import secrets
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import infra
from activities.adapters.containers import command as docker
from activities.adapters.runs.file_lock import machine_lock
from activities.adapters.servers.first_login import FirstLogin
from activities.adapters.servers.remote_shell import ServerAccess
from tests.support.eventually import eventually

LABEL = "codegen-orchestrator.bare-server"
USER = "orchestrator"
_DOCKERFILE = Path(infra.__file__).with_name("images") / "bare-server.Dockerfile"
_PACKAGES = (
    "busybox-static ca-certificates curl dbus docker-compose docker.io fail2ban iproute2 iptables"
    " prometheus-node-exporter python3-systemd restic rsync sudo tar tzdata ufw unattended-upgrades util-linux"
)
# SYS_TIME must never be there: a server that sets its time would move the clock of this machine.
_DROPPED = ("SYS_RESOURCE", "SYS_TIME", "SYS_MODULE", "SYS_BOOT", "SYS_RAWIO")
_RIGHTS = (
    *("--cap-add", "ALL", *(part for one in _DROPPED for part in ("--cap-drop", one))),
    *("--security-opt", "seccomp=unconfined", "--device-cgroup-rule", "a *:* rwm"),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"),
    *("--volume", "/var/lib/docker"),
)


@dataclass(frozen=True)
class BareServer:
    """`first` is how the provider lets in, `access` how the platform will be let in."""

    name: str
    first: FirstLogin
    access: ServerAccess

    async def says(self, *command: str) -> str:
        """What a command says that root runs there, without SSH."""
        return await docker.run("exec", self.name, *command)

    async def tries(self, script: str) -> docker.Reply:
        return await docker.try_run("exec", self.name, "sh", "-c", script)

    @property
    def by_key(self) -> FirstLogin:
        """The same for a provider that put our key there."""
        return replace(self.first, key_file=self.access.key_file, password=None)


async def bare_image() -> str:
    """The image, under a tag that changes with what is in it; made in a minute or two when it is missing."""
    content = _DOCKERFILE.read_bytes()
    tag = f"orchestrator-bare-server:{hashlib.sha256(content + _PACKAGES.encode()).hexdigest()[:16]}"
    async with machine_lock("bare-server-image"):
        if (await docker.try_run("image", "inspect", tag)).code != 0:
            build = ("build", "--network", "host", "--force-rm", "--label", f"{LABEL}=image", "--tag", tag)
            packages = ("--build-arg", f"CACHED_PACKAGES={_PACKAGES}")
            await docker.run(*build, *packages, "-", stdin=content, timeout_s=1800)
    return tag


@asynccontextmanager
async def bare_server(place: Path) -> AsyncIterator[BareServer]:
    """A new one, removed afterwards. `place` gets its key and what is known of its host key."""
    name = f"orchestrator-bare-{uuid.uuid4().hex[:12]}"
    create = ("create", "--name", name, "--hostname", "bare", "--label", f"{LABEL}=server", *_RIGHTS)
    cgroups = await docker.run("info", "--format", "{{.CgroupVersion}}")
    try:
        image = await bare_image()
        await docker.run(*create, *(("--cgroupns", "host") if cgroups.strip() == "2" else ()), image)
        await docker.run("start", name)
        yield await _let_us_in(name, place)
    finally:
        await docker.try_run("rm", "--force", "--volumes", name)


async def _let_us_in(name: str, place: Path) -> BareServer:
    """What a provider does: a password for root, and our key beside it."""
    key, known_hosts, password = (
        place / f"{name}.key",
        place / f"{name}.known_hosts",
        f"{{{{7*7}}}}{secrets.token_hex(8)}",
    )
    made = await docker.run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    assert made.code == 0, made.error
    inside = ("exec", "--interactive", name)

    async def ready() -> bool:
        return (await docker.try_run("exec", name, "systemctl", "is-active", "--quiet", "ssh.service")).code == 0

    await eventually(ready, timeout=60, message="ssh of the bare server")
    await docker.run(*inside, "chpasswd", stdin=f"root:{password}\n".encode())
    put = "install -d -m 700 /root/.ssh && cat > /root/.ssh/authorized_keys && chmod 600 /root/.ssh/authorized_keys"
    await docker.run(*inside, "sh", "-c", put, stdin=key.with_suffix(".key.pub").read_bytes())
    address = await docker.run("inspect", "--format", "{{.NetworkSettings.IPAddress}}", name)
    public = await docker.run("exec", name, "cat", "/etc/ssh/ssh_host_ed25519_key.pub")
    known_hosts.write_text(f"{address.strip()} {' '.join(public.split()[:2])}\n")
    first = FirstLogin(name, address.strip(), 22, "root", known_hosts, password=password)
    return BareServer(name, first, ServerAccess(name, address.strip(), 22, USER, key, known_hosts))
