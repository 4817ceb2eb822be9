"""A turn of real Claude Code on a whole platform against the same program by hand in `docker run`.

Measured is the time until the model gets the first request: on the platform from the moment in which Temporal has
scheduled the turn, through the container, the worker wrapper and the model proxy; by hand from the command, with the
same image, limits and fresh volumes, straight to the model over the network of this machine. Nothing in it is recorded,
supervised or kept from the key.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
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


async def first_requests(pairs: int) -> list[tuple[float, float]]:
    """Milliseconds until the first request, (ours, by hand), interleaved; a pair before them is not counted."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        image = await DockerImages(DockerContainerEngine(), Path(directory)).agent(AgentKind.CLAUDE_CODE)
        most = str(2 * pairs + 10)
        async with real_platform(Path(directory) / "home", ORCHESTRATOR_MAX_AGENT_WORKERS_PER_USER=most) as platform:
            found = []
            for number in range(pairs + 1):
                sides = [ours(platform), by_hand(platform, image)]
                taken = [await side for side in (sides if number % 2 else reversed(sides))]
                found.append((taken[0], taken[1]) if number % 2 else (taken[1], taken[0]))
    return found[1:]


async def ours(platform: RealPlatform) -> float:
    """From the time at which Temporal has scheduled the turn."""
    worker = await RealWorker.made(platform, _WORK)
    turn = await worker.told(1)
    answer = await turn.ended(_ENDS_S)
    if not answer.success:
        raise RuntimeError(f"the turn failed: {answer.error}")
    return (turn.asked[0].at - await _scheduled(platform, worker)) * 1000


async def by_hand(platform: RealPlatform, image: str) -> float:
    """From the command that a person would type."""
    worker, mark = await RealWorker.made(platform, _WORK), f"mark-{uuid4().hex}"
    url = platform.stack.extra["ORCHESTRATOR_ANTHROPIC_BASE_URL"]
    argv = command(worker, image, url, f"{mark} {_WORK}")
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


def command(worker: RealWorker, image: str, model_url: str, prompt: str) -> list[str]:
    """What a person would type for the same container, with the model's key and address."""
    mounts = [f"type=volume,source={one.source},target={one.target}" for one in binds_of(worker.id)]
    limits, configured = Limits(), CLAUDE_CODE.configured(ModelTurn(token=KEYS["ANTHROPIC_API_KEY"]))
    variables = {
        **configured.environment, **configured.secrets,
        "ANTHROPIC_BASE_URL": model_url, "HOME": HOME, "LANG": "C.UTF-8", "TMPDIR": "/tmp",
    }  # fmt: skip
    return [
        "docker", "run", "--name", f"by-hand-{worker.id}", "--network", "host",
        "--user", "1000:1000", "--workdir", WORKSPACE, "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--memory", str(limits.memory_bytes), "--cpus", str(limits.cpus), "--pids-limit", str(limits.pids),
        "--read-only", "--tmpfs", "/tmp:rw,exec,nosuid,nodev,mode=1777",
        *(word for mount in mounts for word in ("--mount", mount)),
        *(word for name, value in variables.items() for word in ("--env", f"{name}={value}")),
        image, program_of(AgentKind.CLAUDE_CODE, "claude"), "-p", "--output-format", "stream-json", "--verbose",
        "--dangerously-skip-permissions", prompt,
    ]  # fmt: skip
