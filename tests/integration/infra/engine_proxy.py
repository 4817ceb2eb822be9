"""The filtering proxy of the compose file, in front of this machine's engine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx

from activities.adapters.containers import command as docker
from tests.support.eventually import eventually

ROOT = Path(__file__).resolve().parents[3]
_SOCKET = "/var/run/docker.sock"


@asynccontextmanager
async def running_proxy() -> AsyncIterator[str]:
    """Its address. It runs as in the compose file: without capabilities, and on a root that cannot be written."""
    name = f"engine-proxy-{uuid4().hex[:8]}"
    image = f"codegen-orchestrator-test:{name}"
    build = ("build", "--quiet", "--tag", image, "--file", str(ROOT / "infra/images/engine-proxy.Dockerfile"))
    await docker.run(*build, str(ROOT / "infra"), timeout_s=300)
    try:
        secured = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only")
        await docker.run("run", "--detach", "--name", name, *secured, "--volume", f"{_SOCKET}:{_SOCKET}", image)
        form = "{{.NetworkSettings.IPAddress}}"
        address = f"http://{await docker.run('inspect', '--format', form, name)}:2375"
        await eventually(lambda: _answers(address), 20, message="the proxy answers")
        yield address
    finally:
        await docker.try_run("rm", "--force", "--volumes", name)
        await docker.try_run("rmi", image)


async def _answers(address: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as http:
        try:
            return (await http.get(f"{address}/_ping")).status_code == 200
        except httpx.TransportError:
            await asyncio.sleep(0.1)
            return False
