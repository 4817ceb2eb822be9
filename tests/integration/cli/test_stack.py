"""`up`, `status` and `down` with real processes: one platform per home, found again and stopped in order."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.host.processes import start_time
from tests.support.commands import run_command
from tests.support.eventually import eventually
from tests.support.patience import patience
from tests.support.ports import free_ports

pytestmark = pytest.mark.timeout(240)


class Home:
    """One home and the programs that are run on it."""

    def __init__(self, path: Path, port_base: int) -> None:
        self.path = path
        self.port_base = port_base
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORCHESTRATOR_", "TEMPORAL_", "DATABASE_"))}
        # Where agents work is not looked at here, and processes need no images.
        self.environment = {**kept, "ORCHESTRATOR_HOME": str(path), "ORCHESTRATOR_RUNTIME": "process"}

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    async def run(self, *arguments: str) -> tuple[int, list[dict[str, object]], str]:
        said = await run_command(*arguments, "--json", env=self.environment, timeout=150)
        return said.code, [json.loads(line) for line in said.out.splitlines()], said.err

    def pid(self, name: str) -> int:
        return int(json.loads((self.path / "processes" / f"{name}.json").read_text())["pid"])

    def pids(self) -> dict[str, int]:
        return {name: self.pid(name) for name in ("postgres", "temporal", "api", "workers")}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    made = Home(tmp_path / "home", free_ports(3))
    yield made
    await made.run("down")


async def test_two_ups_make_one_platform_that_heals_and_is_stopped_without_a_rest(home: Home) -> None:
    both = [home.begin("up", "--detach", "--json", "--port-base", str(home.port_base)) for _ in range(2)]
    endings = [process.communicate(timeout=patience(150)) for process in both]
    for process, (_, errors) in zip(both, endings, strict=True):
        assert process.returncode == 0, errors
    ready = [json.loads(out.splitlines()[-1]) for out, _ in endings]
    assert sorted(len(document["started"]) for document in ready) == [0, 4]

    code, documents, _ = await home.run("status")
    assert code == 0
    assert documents[0]["well"] is True
    assert (await home.run("project", "create", "notes"))[0] == 0
    assert (await home.run("project", "create", "notes"))[0] == 5

    code, documents, _ = await home.run("up", "--detach", "--port-base", str(free_ports(3)))
    assert (code, documents[-1]["error"]["code"]) == (5, "CONFLICT")  # type: ignore[index]  # a document of JSON
    before = home.pids()
    os.kill(before["api"], signal.SIGKILL)

    async def heals() -> bool:
        return home.pid("api") != before["api"] and (await home.run("status"))[0] == 0

    _: bool = await eventually(heals, timeout=60)
    assert (await home.run("project", "show", "notes"))[0] == 0

    after = home.pids()
    code, documents, _ = await home.run("down")
    assert code == 0
    assert documents[-1]["stopped"] == {"supervisor": documents[-1]["stopped"]["supervisor"], **after}
    assert [start_time(pid) for pid in after.values()] == [None] * 4
    assert (await home.run("down"))[1][-1]["stopped"] == {}


@pytest.mark.deep
async def test_a_worker_that_is_stopped_by_a_signal_is_told_ended_and_started_again(home: Home) -> None:
    assert (await home.run("up", "--detach", "--port-base", str(home.port_base)))[0] == 0
    before = home.pid("workers")
    os.kill(before, signal.SIGSTOP)

    async def is_told() -> bool:
        code, documents, _ = await home.run("status")
        parts = documents[0]["parts"]
        assert isinstance(parts, dict)
        return code == 6 and "hangs" in str(parts["workers"]["trouble"])

    _: bool = await eventually(is_told, timeout=40, interval=1.0)
    doctor = (await home.run("doctor"))[1][-1]["findings"]
    assert isinstance(doctor, list)
    assert {one["verdict"] for one in doctor if one["part"] == "Temporal workers"} == {"problem"}

    async def heals() -> bool:
        return home.pid("workers") != before and (await home.run("status"))[0] == 0

    _ = await eventually(heals, timeout=120, interval=1.0)
    assert start_time(before) is None


@pytest.mark.deep
async def test_ctrl_c_in_the_foreground_stops_all_parts_in_order(home: Home) -> None:
    foreground = home.begin("up", "--port-base", str(home.port_base))
    await eventually(lambda: (home.path / "processes" / "supervisor.json").exists(), timeout=120)
    pids = home.pids()
    foreground.send_signal(signal.SIGINT)
    out, err = foreground.communicate(timeout=patience(90))
    assert foreground.returncode == 0, err
    stopped = [line.split()[1] for line in out.splitlines() if line.startswith("Stopped")]
    assert stopped == ["workers", "api", "temporal", "postgres"]
    assert [start_time(pid) for pid in pids.values()] == [None] * 4


async def test_a_port_of_another_program_is_named_before_anything_starts(home: Home) -> None:
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", home.port_base + 1))
        foreign.listen()
        code, documents, _ = await home.run("up", "--detach", "--port-base", str(home.port_base))
    assert code == 5
    error = documents[-1]["error"]
    assert isinstance(error, dict)
    assert str(home.port_base + 1) in error["message"]
    assert "ORCHESTRATOR_UI_PORT" in error["message"]
    assert (await home.run("down"))[1][-1]["stopped"] == {}
