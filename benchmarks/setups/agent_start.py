"""A turn of real Claude Code on a whole platform against the same program by hand in `docker run`.

Measured is the time until the model gets the first request: on the platform from the moment in which Temporal has
scheduled the turn, through the container, the worker wrapper and the model proxy; by hand from the command, with the
same image, limits and fresh volumes, straight to the model. Nothing in it is recorded, supervised or kept from the key.
By hand twice: in Docker's default network, and in the network of this machine, which takes no time to set up and
separates nothing. A turn of the platform has no network but the way to its model.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from temporalio.api.enums.v1 import EventType

from activities.adapters.agents.claude_code import CLAUDE_CODE
from activities.adapters.agents.wrapped import program_of
from activities.adapters.containers.engine import DockerContainerEngine, Limits
from activities.adapters.containers.images import DockerImages
from activities.adapters.containers.workspaces import HOME, WORKSPACE, binds_of
from contracts.models import ModelTurn
from contracts.names import ActivityName
from contracts.states import AgentKind
from tests.support.agents.real_platform import KEYS, RealPlatform, real_platform
from tests.support.agents.real_workers import RealWorker
from tests.support.services.runtimes import docker

_WORK = "[model:say Hello]"
_ENDS_S = 120


async def first_requests(pairs: int) -> list[tuple[float, float, float]]:
    """Milliseconds until the first request: ours, by hand in Docker's default network, by hand in that of the machine.

    Interleaved, with the side that goes first in turn; a round before them is not counted.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        image = await DockerImages(DockerContainerEngine(), Path(directory)).agent(AgentKind.CLAUDE_CODE)
        most = str(3 * pairs + 10)
        async with real_platform(Path(directory) / "home", ORCHESTRATOR_MAX_AGENT_WORKERS_PER_USER=most) as platform:
            found = []
            async with _reachable_from_containers(platform.stack.extra["ORCHESTRATOR_ANTHROPIC_BASE_URL"]) as urls:
                for number in range(pairs + 1):
                    taken = {}
                    for side in _turned(["ours", *urls], number):
                        hand = side != "ours"
                        taken[side] = await (by_hand(platform, image, side, urls[side]) if hand else ours(platform))
                    found.append((taken["ours"], taken["bridge"], taken["host"]))
    return found[1:]


def _turned(sides: list[str], number: int) -> list[str]:
    first = number % len(sides)
    return [*sides[first:], *sides[:first]]


@asynccontextmanager
async def _reachable_from_containers(url: str) -> AsyncIterator[dict[str, str]]:
    """The model's address for each network: the default one has this machine as its gateway, where a relay listens."""
    model = urlsplit(url)
    gateway = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(model.hostname, model.port)
        await asyncio.gather(_copied(reader, there[1]), _copied(there[0], writer))

    relay = await asyncio.start_server(pass_on, gateway, 0)
    async with relay:
        yield {"bridge": f"http://{gateway}:{relay.sockets[0].getsockname()[1]}", "host": url}


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()


async def ours(platform: RealPlatform) -> float:
    """From the time at which Temporal has scheduled the turn."""
    worker = await RealWorker.made(platform, _WORK)
    turn = await worker.told(1)
    answer = await turn.ended(_ENDS_S)
    if not answer.success:
        raise RuntimeError(f"the turn failed: {answer.error}")
    return (turn.asked[0].at - await _scheduled(platform, worker)) * 1000


async def by_hand(platform: RealPlatform, image: str, network: str, url: str) -> float:
    """From the command that a person would type."""
    worker, mark = await RealWorker.made(platform, _WORK), f"mark-{uuid4().hex}"
    argv = command(worker, image, network, url, f"{mark} {_WORK}")
    started = time.time()
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    docker("rm", f"by-hand-{worker.id}")
    if process.returncode != 0:
        raise RuntimeError(f"docker run ended with {process.returncode}: {output.decode()[-2000:]}")
    return (platform.asked(mark)[0].at - started) * 1000


async def _scheduled(platform: RealPlatform, worker: RealWorker) -> float:
    client = await platform.stack.client()
    shown = await platform.stack.get(f"/workers/{worker.id}")
    history = await client.get_workflow_handle(shown["workflow_id"]).fetch_history()
    turns = [
        event.event_time.ToMicroseconds() / 1e6
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        and event.activity_task_scheduled_event_attributes.activity_type.name == ActivityName.AGENT_RUN_TURN
    ]
    return turns[0]


def command(worker: RealWorker, image: str, network: str, model_url: str, prompt: str) -> list[str]:
    """What a person would type for the same container, with the model's key and address."""
    mounts = [f"type=volume,source={one.source},target={one.target}" for one in binds_of(worker.id)]
    limits, configured = Limits(), CLAUDE_CODE.configured(ModelTurn(token=KEYS["ANTHROPIC_API_KEY"]))
    variables = {
        **configured.environment, **configured.secrets,
        "ANTHROPIC_BASE_URL": model_url, "HOME": HOME, "LANG": "C.UTF-8", "TMPDIR": "/tmp",
    }  # fmt: skip
    return [
        "docker", "run", "--name", f"by-hand-{worker.id}", "--network", network,
        "--user", "1000:1000", "--workdir", WORKSPACE, "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--memory", str(limits.memory_bytes), "--cpus", str(limits.cpus), "--pids-limit", str(limits.pids),
        "--read-only", "--tmpfs", "/tmp:rw,exec,nosuid,nodev,mode=1777",
        *(word for mount in mounts for word in ("--mount", mount)),
        *(word for name, value in variables.items() for word in ("--env", f"{name}={value}")),
        image, program_of(AgentKind.CLAUDE_CODE, "claude"), "-p", "--output-format", "stream-json", "--verbose",
        "--dangerously-skip-permissions", prompt,
    ]  # fmt: skip
