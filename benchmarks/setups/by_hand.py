"""Runs `main_job_by_hand.sh`: everything that it is given is prepared here, before its time begins."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import httpx

from activities.adapters.containers import command as docker
from activities.adapters.containers.agent import AGENTS_NETWORK
from activities.adapters.containers.engine import Bind, DockerContainerEngine
from activities.adapters.containers.images import DockerImages
from activities.adapters.containers.installer_access import InstallerAccess, installer_access
from activities.adapters.containers.workspaces import HOME
from activities.adapters.forge.scaffold import TEMPLATE
from activities.adapters.packages.registry_access import registry_files
from activities.adapters.servers.remote_shell import ServerAccess

SCRIPT = Path(__file__).with_name("main_job_by_hand.sh")
_FIRST_PORT = 15_000
"""Below the ports that platforms of tests and benchmarks give out."""
_TIMEOUT_S = 900
_END = "end"


@dataclass(frozen=True)
class Steps:
    """Seconds from the start of the script to the first good answer from outside, and of each step."""

    seconds: float
    steps: dict[str, float]

    @classmethod
    def of(cls, started: float, said: str) -> Steps:
        """From the moment of the start and the lines that the script printed; ValueError without its last one."""
        marks = [(name, float(moment)) for moment, name in (line.split() for line in said.splitlines())]
        if not marks or marks[-1][0] != _END:
            raise ValueError(f"The script did not come to its end: {said!r}")
        lengths = {name: after - moment for (name, moment), (_, after) in pairwise(marks)}
        return cls(marks[-1][1] - started, lengths)


class ByHand:
    """The script with what it needs in `home`. A run is a project of its own with a port of its own."""

    def __init__(self, home: Path, image: str) -> None:
        self._home = home
        self._image = image
        self._volumes = f"by-hand-venvs-{uuid4().hex[:8]}"
        self._ports = iter(range(_FIRST_PORT, _FIRST_PORT + 1_000))

    @classmethod
    async def prepared(cls, home: Path) -> ByHand:
        """Everything that is there on a machine that is in use: images, the agents' network, how packages are had."""
        engine = DockerContainerEngine()
        await engine.ensure_network(AGENTS_NETWORK)
        _write_packages(home / "packages", await installer_access(HOME))
        registry = home / "registry"
        registry.mkdir(parents=True)
        for name, content in (await asyncio.to_thread(registry_files)).items():
            (registry / Path(name).name).write_text(content)
        return cls(home, await DockerImages(engine, home / "locks").worker())

    async def job(self, wish: str, access: ServerAccess) -> Steps:
        """Raises RuntimeError with the end of the script's log when there is no service that answers at its end."""
        name, port = f"by-hand-{uuid4().hex[:8]}", next(self._ports)
        work = self._home / name
        work.mkdir()
        environment = self._environment(name, wish, port, access, work)
        started = time.time()
        process = await asyncio.create_subprocess_exec(
            str(SCRIPT), *access.login(), env=environment, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(_TIMEOUT_S):
            said, _ = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"{said.decode()}\n{(work / 'log').read_text()[-3_000:]}")
        await _check(f"http://{access.host}:{port}/books")
        return Steps.of(started, said.decode())

    def _environment(self, name: str, wish: str, port: int, access: ServerAccess, work: Path) -> dict[str, str]:
        given = {
            "NAME": name, "WISH": wish, "RELEASE": f"rel-{uuid4().hex[:12]}", "HOST": access.host, "PORT": str(port),
            "TEMPLATE": str(TEMPLATE), "IMAGE": self._image, "NETWORK": AGENTS_NETWORK, "WORK": str(work),
            "PACKAGES": str(self._home / "packages"), "REGISTRY": str(self._home / "registry"),
            "VOLUMES": self._volumes,
        }  # fmt: skip
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
        return {**os.environ, **given, "PATH": path}

    async def close(self) -> None:
        """The volumes with packages, of which the runs knew, are gone."""
        for volume in (await docker.run("volume", "ls", "--quiet", "--filter", f"name={self._volumes}")).split():
            await docker.run("volume", "rm", volume)


def _write_packages(place: Path, access: InstallerAccess) -> None:
    """In files: a package index may have a password, which no list of processes must show."""
    (place / "home").mkdir(parents=True)
    for name, content in access.files.items():
        (place / "home" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "home" / name).write_bytes(content)
    variables = place / "environment"
    variables.touch(mode=0o600)
    variables.write_text("".join(f"{name}={value}\n" for name, value in access.environment.items()))
    options = ["--env-file", str(variables), *_mounts(access.binds)]
    (place / "options").write_text("\n".join(options) + "\n")


def _mounts(binds: Sequence[Bind]) -> list[str]:
    mounts = [f"type=bind,source={one.source},target={one.target},readonly" for one in binds]
    return [word for mount in mounts for word in ("--mount", mount)]


async def _check(url: str) -> None:
    async with httpx.AsyncClient(timeout=30) as visitor:
        answer = await visitor.get(url)
    if answer.status_code != 200:
        raise RuntimeError(f"{url} answers {answer.status_code}: the script deployed something else.")
