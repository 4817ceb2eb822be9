"""Supervised processes under kills: one process per name, nothing left behind, the end always known."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from activities.adapters.runs import process_table
from activities.adapters.runs.states import RunAs, RunStatus
from activities.adapters.runs.supervisor import SupervisedCommand, Supervisor
from contracts.errors import ErrorCode, OrchestratorError
from tests.support.eventually import eventually

STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True:
    time.sleep(60)
"""

DOUBLE_FORK = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1], "w").write(str(os.getpid()))
        while True:
            time.sleep(60)
    os._exit(0)
os.wait()
while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read():
    time.sleep(0.01)
print("parent done", flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    one = Supervisor(tmp_path / "runs")
    yield one
    for run in (tmp_path / "runs").iterdir() if (tmp_path / "runs").exists() else []:
        await one.stop(run.name, grace_s=0)


def command(name: str, *argv: str, cwd: Path = Path("/"), **options: object) -> SupervisedCommand:
    env = {"PATH": os.environ["PATH"], "GREETING": "hello"}
    return SupervisedCommand(name, list(argv), cwd, env, **options)  # type: ignore[arg-type] # options by name


def python(source: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", "-c", source, *arguments]


def fresh(kind: str) -> str:
    return f"{kind}-{uuid4().hex[:8]}"


def carriers(name: str) -> list[int]:
    """Living processes of a run, seen from outside of the supervision."""
    found = []
    for one in process_table.entries():
        try:
            environment = Path(f"/proc/{one.pid}/environ").read_bytes()
        except OSError:
            continue
        if one.alive and f"{process_table.MARKER}={name}:".encode() in environment:
            found.append(one.pid)
    return found


def whole_output(supervisor: Supervisor, name: str) -> str:
    return supervisor.read_output(name, 0, 10**8)[0].decode()


async def test_a_run_ends_with_its_exit_code_and_output_and_is_adopted_ever_after(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    name = fresh("run")
    script = f"echo $GREETING; echo again >> {tmp_path}/count; echo problem >&2; exit 3"
    await supervisor.start(command(name, "sh", "-c", script))
    ended = await supervisor.wait(name)
    adopted = await supervisor.start(command(name, "sh", "-c", script))
    assert (ended.state, ended.exit_code) == ("exited", 3)
    assert adopted == ended
    assert whole_output(supervisor, name) == "hello\nproblem\n"
    assert (tmp_path / "count").read_text() == "again\n"
    assert ended.started_at is not None
    assert ended.finished_at is not None


async def test_output_is_read_by_offset(supervisor: Supervisor) -> None:
    name = fresh("run")
    await supervisor.start(command(name, "sh", "-c", "printf abcdef"))
    await supervisor.wait(name)
    assert supervisor.read_output(name, 0, 4) == (b"abcd", 4)
    assert supervisor.read_output(name, 4, 4) == (b"ef", 6)
    assert supervisor.read_output(name, 6, 4) == (b"", 6)


async def test_ten_concurrent_starters_start_one_process(supervisor: Supervisor, tmp_path: Path) -> None:
    name = fresh("run")
    wish = command(name, "sh", "-c", f"echo started >> {tmp_path}/count; sleep 60")
    statuses = await asyncio.gather(*(Supervisor(tmp_path / "runs").start(wish) for _ in range(10)))
    await eventually(lambda: (tmp_path / "count").exists())
    assert len({status.pid for status in statuses}) == 1
    assert (tmp_path / "count").read_text() == "started\n"


@pytest.mark.parametrize(
    "delay_ms", [0, 40, *(pytest.param(one, marks=pytest.mark.deep) for one in (20, 60, 80, 120, 200))]
)
async def test_a_starter_killed_at_any_moment_leaves_at_most_one_process(
    supervisor: Supervisor, tmp_path: Path, delay_ms: int
) -> None:
    name = fresh("run")
    script = f"echo started >> {tmp_path}/count; exec sleep 60"
    program = (
        "import asyncio, sys; from pathlib import Path\n"
        "from activities.adapters.runs.supervisor import *\n"
        "print('go', flush=True)\n"
        "asyncio.run(Supervisor(Path(sys.argv[1])).start("
        "SupervisedCommand(sys.argv[2], ['sh', '-c', sys.argv[3]], Path('/'), {'PATH': '/usr/bin:/bin'})))"
    )
    starter = await asyncio.create_subprocess_exec(
        *python(program, str(tmp_path / "runs"), name, script),
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert starter.stdout is not None
    assert await starter.stdout.readline() == b"go\n"
    await asyncio.sleep(delay_ms / 1000)  # the moment of the kill is what this test varies
    with contextlib.suppress(ProcessLookupError):
        starter.kill()
    await starter.wait()
    status = await supervisor.start(command(name, "sh", "-c", script))
    await eventually(lambda: (tmp_path / "count").exists())
    assert status.state == "running"
    assert carriers(name) == [status.pid]
    assert (tmp_path / "count").read_text() == "started\n"


async def test_a_stop_ends_a_tree_that_ignores_term(supervisor: Supervisor) -> None:
    name = fresh("run")
    await supervisor.start(command(name, *python(STUBBORN)))
    await eventually(lambda: len(carriers(name)) == 8)
    stopped = await supervisor.stop(name, grace_s=0.3)
    assert carriers(name) == []
    assert (stopped.state, stopped.exit_code, stopped.stopped) == ("exited", -signal.SIGKILL, True)


async def test_a_stop_after_a_cancelled_start_leaves_nothing(supervisor: Supervisor) -> None:
    for _ in range(5):
        name = fresh("run")
        starting = asyncio.ensure_future(supervisor.start(command(name, "sleep", "600")))
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await supervisor.stop(name)
        assert carriers(name) == []
        assert supervisor.status(name).state in {"exited", "absent"}


async def test_a_stop_lets_a_polite_command_finish(supervisor: Supervisor) -> None:
    name = fresh("run")
    await supervisor.start(
        command(name, "sh", "-c", "trap 'echo bye; exit 7' TERM; echo on; while :; do sleep 0.05; done")
    )
    await eventually(lambda: whole_output(supervisor, name) == "on\n")
    stopped = await supervisor.stop(name)
    assert stopped.exit_code == 7
    assert whole_output(supervisor, name).startswith("on\n")
    assert "bye\n" in whole_output(supervisor, name)
    assert await supervisor.stop(name) == stopped


@pytest.mark.parametrize("environment", ["kept", "cleared"])
async def test_a_double_forked_grandchild_is_ended_with_its_run(
    supervisor: Supervisor, tmp_path: Path, environment: str
) -> None:
    name, pid_file = fresh("run"), tmp_path / "pid"
    clear = ["env", "-i"] if environment == "cleared" else []
    await supervisor.start(command(name, *clear, *python(DOUBLE_FORK, str(pid_file), "0")))
    ended = await supervisor.wait(name)
    assert ended.exit_code == 0
    left = process_table.entry(int(pid_file.read_text()))
    assert left is None or not left.alive


async def test_a_killed_supervisor_is_a_lost_run_whose_orphans_can_still_be_stopped(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    name, pid_file = fresh("run"), tmp_path / "pid"
    wish = command(name, *python(DOUBLE_FORK, str(pid_file), "60"))
    await supervisor.start(wish)
    await eventually(lambda: "parent done" in whole_output(supervisor, name))
    waiting = asyncio.ensure_future(supervisor.wait(name))
    record = json.loads((tmp_path / "runs" / name / "status.json").read_text())
    os.kill(record["supervisor_pid"], signal.SIGKILL)
    assert (await waiting).state == "lost"
    assert len(carriers(name)) == 2
    assert (await supervisor.start(wish)).state == "lost"
    assert len(carriers(name)) == 2
    assert (await supervisor.stop(name, grace_s=0.5)).state == "lost"
    assert carriers(name) == []


async def test_a_run_over_its_time_is_ended_and_says_so(supervisor: Supervisor) -> None:
    name = fresh("run")
    await supervisor.start(command(name, "sleep", "60", timeout_s=1))
    ended = await supervisor.wait(name)
    assert ended.timed_out
    assert carriers(name) == []


async def test_a_service_that_exits_is_started_again_and_counted(supervisor: Supervisor) -> None:
    name = fresh("service")
    await supervisor.start(command(name, "sleep", "600", restart=True))
    first = supervisor.status(name)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)

    def again() -> RunStatus | None:
        now = supervisor.status(name)
        return now if now.restarts == 1 and now.pid not in (None, first.pid) else None

    await eventually(again)
    assert supervisor.status(name).state == "running"
    await supervisor.stop(name)
    assert carriers(name) == []
    assert supervisor.status(name).state == "exited"


async def test_a_command_that_cannot_be_executed_ends_with_127_and_the_reason(supervisor: Supervisor) -> None:
    name = fresh("run")
    await supervisor.start(command(name, "/does/not/exist"))
    assert (await supervisor.wait(name)).exit_code == 127
    assert "cannot start /does/not/exist" in whole_output(supervisor, name)


async def test_the_environment_is_never_on_the_disk_or_in_an_argument_list(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    name, value = fresh("run"), uuid4().hex
    await supervisor.start(
        SupervisedCommand(name, ["sleep", "60"], Path("/"), {"PATH": "/usr/bin:/bin", "TOKEN": value})
    )
    written = b"".join(path.read_bytes() for path in (tmp_path / "runs" / name).iterdir())
    arguments = b"".join(
        Path(f"/proc/{one.pid}/cmdline").read_bytes()
        for one in process_table.entries()
        if one.alive and Path(f"/proc/{one.pid}/cmdline").exists()
    )
    assert value.encode() not in written + arguments


async def test_output_keeps_its_head_and_its_tail_and_says_so(supervisor: Supervisor) -> None:
    name = fresh("run")
    await supervisor.start(command(name, "sh", "-c", "echo begin; head -c 30000000 /dev/zero; echo end; exit 5"))
    ended = await supervisor.wait(name)
    output = whole_output(supervisor, name)
    assert ended.exit_code == 5
    assert len(output) < 22 * 1024 * 1024
    assert output.startswith("begin\n")
    assert output.endswith("\0end\n")
    assert "bytes of output were left out here" in output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
async def test_a_command_drops_to_its_user_without_a_way_back(supervisor: Supervisor) -> None:
    name = fresh("run")
    await supervisor.start(
        command(name, "sh", "-c", "id -u; id -G; grep NoNewPrivs /proc/self/status", user=RunAs(64321, 64321))
    )
    ended = await supervisor.wait(name)
    assert whole_output(supervisor, name).split() == ["64321", "64321", "NoNewPrivs:", "1"]
    assert ended.run_as_uid == 64321


async def test_a_removed_run_frees_its_name_and_a_running_one_is_refused(supervisor: Supervisor) -> None:
    name = fresh("run")
    await supervisor.start(command(name, "sleep", "60"))
    with pytest.raises(OrchestratorError) as refused:
        supervisor.remove(name)
    assert refused.value.code is ErrorCode.CONFLICT
    await supervisor.stop(name)
    supervisor.remove(name)
    assert supervisor.status(name).state == "absent"
    assert (await supervisor.stop(name)).state == "absent"
    assert (await supervisor.start(command(name, "true"))).state in {"running", "exited"}


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 300])
async def test_a_name_that_is_no_file_name_is_refused(supervisor: Supervisor, name: str) -> None:
    with pytest.raises(OrchestratorError) as refused:
        await supervisor.start(command(name, "true"))
    assert refused.value.code is ErrorCode.INVALID_INPUT
