"""A log-in runs in a real container that reaches the agent's vendor by the gateway, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from activities.adapters.containers.engine import DockerContainerEngine
from contracts.agent_logins import PLACE
from contracts.states import AgentKind
from runtime.settings import Settings
from tests.support.patience import within
from workers.agent_login import LogIn, login_command

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(900)]
KIND = AgentKind.CLAUDE_CODE
ASKS = """for url in "$@"; do curl -sS -o /dev/null -m 20 -w '%{http_connect}\\n' "$url" 2>/dev/null || true; done
echo kept > /login/proof; curl -sS --noproxy '*' -m 3 http://172.17.0.1:1/ 2>&1 | tail -1; id -u"""


@pytest_asyncio.fixture
async def login(tmp_path: Path) -> AsyncIterator[LogIn]:
    made = LogIn(Settings(home=tmp_path), KIND, uuid4().int % 1_000_000 + 1_000_000)
    yield made
    await made.end()
    await DockerContainerEngine().remove_volume(made.volume)


async def test_a_log_in_reaches_the_vendor_and_nothing_else(login: LogIn) -> None:
    image = await within(login.prepare(), 600)
    program = ("sh", "-c", ASKS, "asks", "https://api.anthropic.com/", "https://example.com/", "https://10.0.0.1/")
    command = [word for word in login_command(image, login.volume, KIND, program) if word != "--tty"]
    asked = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await within(asked.communicate(), 90)
    lines = out.decode().splitlines()
    assert len(lines) == 5, (lines, errors)
    vendor, other, private, direct, user = lines
    assert vendor in {"200", "502"}, "allowed; whether the vendor answers is for the network of this machine to say"
    assert (other, private) == ("403", "403")
    assert "172.17.0.1" in direct
    assert "ailed" in direct or "ould not" in direct, "without the gateway there is no network"
    assert user == "1000"


async def test_what_a_log_in_leaves_is_in_the_volume_of_its_owner(login: LogIn) -> None:
    image = await within(login.prepare(), 600)
    for program in (("sh", "-c", f"echo kept > {PLACE}/proof"), ("cat", f"{PLACE}/proof")):
        command = [word for word in login_command(image, login.volume, KIND, program) if word != "--tty"]
        done = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await within(done.communicate(), 60)
        assert done.returncode == 0
    assert out.decode().strip() == "kept"
