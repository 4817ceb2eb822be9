"""An attacker inside of an agent's turn and of a deployed service reaches nothing of the platform and of others.

With processes as the one person that they are for; with containers as one of two people: docs/security.md has it all.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
import structlog

from tests.secrets import attack
from tests.support.eventually import eventually
from tests.support.patience import patience, within
from tests.support.people.story import ENTITY
from tests.support.ports import free_ports
from tests.support.services import engine
from tests.support.services.container_service import no_engine
from tests.support.stack import ROOT, Stack, running_stack

log = structlog.get_logger(__name__)
pytestmark = [pytest.mark.timeout(1800), pytest.mark.deep]

SCRIPT = Path(attack.__file__)
NETWORK = {"reach the cloud's metadata"}
KNOWN = {
    "process": {"service": {"connect to temporal"} | NETWORK, "agent": {"connect to temporal"} | NETWORK},
    "docker": {"service": NETWORK, "agent": set[str]()},
}
"""What may be reached, and that nothing of the platform follows from it: docs/security.md says so."""
MARK = "VICTIMS_SECRET"


@asynccontextmanager
async def with_users_of_their_own() -> AsyncIterator[Stack]:
    """A platform of processes whose Python and home other users can reach: otherwise work runs as root, and `up` says
    so. Packages and programs are ours."""
    with tempfile.TemporaryDirectory(prefix="attacked-", dir="/var/tmp") as directory:
        place = Path(directory)
        place.chmod(0o755)
        make = ["/usr/bin/python3", "-m", "venv", "--without-pip", str(place / "venv")]
        await asyncio.to_thread(subprocess.run, make, check=True)
        [packages] = (place / "venv" / "lib").glob("python3*/site-packages")
        (packages / "platform.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
        for program in ("temporal", "uv"):
            (place / "venv" / "bin" / program).symlink_to(Path(sys.executable).parent / program)
        python = str(place / "venv" / "bin" / "python")
        stack = Stack(place / "home", free_ports(3), free_ports(100), extra={"ORCHESTRATOR_RUNTIME": "process"})
        try:
            await _run(python, stack, "up", "--detach")
            yield stack
        finally:
            await _run(python, stack, "down", "--services")


async def _run(python: str, stack: Stack, *arguments: str) -> None:
    program = await asyncio.create_subprocess_exec(python, "-m", "cli", *arguments, env=stack.env, cwd=ROOT)
    assert await within(program.wait(), 150) == 0, arguments


@asynccontextmanager
async def with_containers(directory: Path) -> AsyncIterator[Stack]:
    with engine.in_use():
        async with running_stack(directory / "home", ORCHESTRATOR_RUNTIME="docker") as stack:
            yield stack


@asynccontextmanager
async def two_projects(stack: Stack) -> AsyncIterator[dict[str, str]]:
    """A victim's and an attacker's project, both online; names by role, and the task of a turn that goes on."""
    names = {role: f"{role}{uuid4().hex[:6]}" for role in ("victim", "attacker")}
    for name in names.values():
        started = await stack.ok("project", "create", name)
        await stack.ok("secret", "set", started["id"], MARK, stdin=MARK)
        task = await stack.ok("delivery", "start", "--project", name, ENTITY)
        ended = await stack.finished(task["task_id"])
        assert ended["state"] == "completed", ended
    turn = await stack.ok(
        "delivery", "start", "--project", names["attacker"], "Add a field page:int to books [agent:slow=90]"
    )
    yield {**names, "turn": turn["task_id"]}
    await stack.cli("task", "cancel", turn["task_id"])
    await stack.finished(turn["task_id"])


def told(stack: Stack, victim: str, host: str) -> str:
    home = stack.home
    theirs = [
        *(home / "services").glob(f"{victim}*/*"),
        *(home / "forge").glob(f"*/{victim}*"),
    ]
    document: dict[str, Any] = {
        "home": str(home),
        "host": host,
        "mark": MARK,
        "ports": {"api": stack.port_base, "temporal": stack.port_base + 2, "postgres": 5432},
        "victim": [*map(str, theirs), f"/srv/{victim}", f"/srv/{victim}/data", "/srv"],
    }
    return json.dumps(document)


def as_process(process: psutil.Process, arguments: str) -> dict[str, str]:
    """The script with everything that this process has: user, directory and environment."""
    done = subprocess.run(
        ["/usr/bin/python3", "-", arguments], input=SCRIPT.read_text(), cwd=process.cwd(), env=process.environ(),
        user=process.uids().real, group=process.gids().real, extra_groups=[], capture_output=True, text=True,
        timeout=patience(120), check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def in_container(command: list[str], arguments: str) -> dict[str, str]:
    done = subprocess.run(
        [*command, "python3", "-", arguments], input=SCRIPT.read_text(), capture_output=True, text=True,
        timeout=patience(120), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def process_of(stack: Stack, words: str, directory: str) -> psutil.Process | None:
    """One that runs this, in such a directory; processes end while they are looked at."""
    for one in stack.processes():
        with contextlib.suppress(psutil.Error):
            if words in " ".join(one.cmdline()) and directory in one.cwd():
                return one
    return None


async def attack_processes(stack: Stack, projects: dict[str, str]) -> dict[str, dict[str, str]]:
    arguments = told(stack, projects["victim"], "127.0.0.1")

    turn = await eventually(lambda: process_of(stack, "scripted", "workspaces"), 60, message="a turn")
    service = process_of(stack, "services.backend", projects["attacker"])
    assert turn is not None
    assert service is not None
    return {
        "service": await asyncio.to_thread(as_process, service, arguments),
        "agent": await asyncio.to_thread(as_process, turn, arguments),
    }


async def attack_containers(stack: Stack, projects: dict[str, str]) -> dict[str, dict[str, str]]:
    turns: list[str] = []

    async def is_there() -> bool:
        turns[:] = [line.partition("]")[0][1:] for line in await engine.here("turn-")]
        return bool(turns)

    _: bool = await eventually(is_there, 60, message="a turn")
    [service] = {line.partition("]")[0][1:] for line in await engine.there(stack.server, f"svc-{projects['attacker']}")}
    outside = told(stack, projects["victim"], await engine.seen_from(stack.server))
    near = told(stack, projects["victim"], "172.17.0.1")
    into_service = ["docker", "exec", "--interactive", stack.server, "docker", "exec", "--interactive", service]
    return {
        "service": await asyncio.to_thread(in_container, into_service, outside),
        "agent": await asyncio.to_thread(in_container, ["docker", "exec", "--interactive", turns[0]], near),
    }


@pytest.mark.parametrize("runtime", ["process", "docker"])
async def test_who_is_inside_reaches_nothing_of_the_platform_and_of_others(runtime: str, tmp_path: Path) -> None:
    if runtime == "docker" and (obstacle := no_engine()) is not None:
        pytest.skip(obstacle)
    platform = with_users_of_their_own() if runtime == "process" else with_containers(tmp_path)
    async with platform as stack, two_projects(stack) as names:
        attacked = attack_processes if runtime == "process" else attack_containers
        answers = await attacked(stack, names)
    log.info("answers", runtime=runtime, **answers)
    assert all(len(found) == len(attack.attempts(json.loads(told(stack, "x", "x")))) for found in answers.values())
    got = {
        place: {name for name, answer in found.items() if answer.startswith("got")} for place, found in answers.items()
    }
    beyond = {where: found - KNOWN[runtime][where] for where, found in got.items()}
    assert beyond == {"service": set(), "agent": set()}, answers
