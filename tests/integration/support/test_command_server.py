"""A command from the command server is the command as a process: what it says, how it ends, what it knows."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from tests.support.command_server import ROOT, command_server
from tests.support.commands import Said, run_command, run_process
from tests.support.eventually import eventually

NOBODY = {"ORCHESTRATOR_API_URL": "http://127.0.0.1:1", "ORCHESTRATOR_TOKEN": "t"}
SAME = [
    (["--version"], "", {}, 0),
    (["project", "--help"], "", {}, 0),
    (["task", "show", "../admin"], "", {}, 2),
    (["task", "list", "--limit", "0", "--json"], "", {}, 2),
    (["secret", "set", "p", "TOKEN"], "", {}, 2),
    (["secret", "set", "p", "TOKEN"], "пароль", NOBODY, 6),
    (["project", "create", "\ud800"], "", {}, 2),
    (["project", "list"], "", {}, 6),
    (["project", "list", "--json"], "", NOBODY, 6),
    (["task", "show", "../x"], "", {"ORCHESTRATOR_DEBUG": "1"}, 1),
]


def environment(home: Path, **extra: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "ORCHESTRATOR_HOME": str(home), "COLUMNS": "200", **extra}


def children() -> list[psutil.Process]:
    return psutil.Process(command_server().pid).children(recursive=True)


@pytest.mark.parametrize(("arguments", "stdin", "extra", "code"), SAME, ids=lambda value: repr(value)[:40])
async def test_it_says_and_ends_as_a_process_does(
    arguments: list[str], stdin: str, extra: Mapping[str, str], code: int, tmp_path: Path
) -> None:
    env = environment(tmp_path / "home", **extra)
    served, process = [await run(*arguments, env=env, stdin=stdin) for run in (run_command, run_process)]
    assert (served.code, served.out) == (code, process.out)
    assert _without_frames(served) == _without_frames(process)
    assert process.code == code


def _without_frames(said: Said) -> list[str]:
    """A traceback begins at the program's own first line, wherever that was called from."""
    if not said.err.startswith("Traceback"):
        return said.err.splitlines()
    return ["Traceback", said.err.splitlines()[-1]]


async def test_commands_at_the_same_time_know_nothing_of_each_other(tmp_path: Path) -> None:
    homes = [tmp_path / f"home-{number}" for number in range(6)]
    said = await asyncio.gather(*(run_command("project", "list", env=environment(home)) for home in homes))
    assert [one.err.count("no platform in") for one in said] == [1] * 6
    assert all(f"no platform in {home} yet" in one.err for home, one in zip(homes, said, strict=True))
    later = await run_command("project", "list", env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
    assert f"no platform in {tmp_path}/.local" in later.err


async def test_who_runs_too_long_or_is_given_up_is_killed(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        env = environment(
            tmp_path, ORCHESTRATOR_API_URL=f"http://127.0.0.1:{silent.getsockname()[1]}", ORCHESTRATOR_TOKEN="t"
        )
        with pytest.raises(TimeoutError):
            await run_command("project", "list", env=env, timeout=1)
        given_up = asyncio.create_task(run_command("project", "list", env=env))
        await eventually(lambda: len(children()) == 2, 30, message="the command and who waits for it")
        given_up.cancel()
        await eventually(lambda: not children(), 10, message="the end of the command")


async def test_a_command_that_is_killed_says_so_and_the_next_one_works(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        env = environment(tmp_path, ORCHESTRATOR_API_URL=url, ORCHESTRATOR_TOKEN="t")
        running = asyncio.create_task(run_command("project", "list", env=env))
        await eventually(lambda: len(children()) == 2, 30, message="the command and who waits for it")
        children()[-1].send_signal(signal.SIGKILL)
        assert (await running).code == -signal.SIGKILL
    assert (await run_command("--version", env=environment(tmp_path))).code == 0


@pytest.mark.parametrize("ending", ["", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["ends", "is killed"])
async def test_nothing_is_left_when_the_tests_process(ending: str, tmp_path: Path) -> None:
    code = (
        "import asyncio, os, signal\n"
        "from tests.support.command_server import command_server\n"
        "from tests.support.commands import run_command\n"
        "asyncio.run(run_command('--version', env=dict(os.environ)))\n"
        "print(command_server().pid, flush=True)\n" + ending
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=ROOT, env=environment(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    await eventually(lambda: _has_ended(int(out)), 10, message="the end of the command server")


def _has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_it_belongs_to_no_home(tmp_path: Path) -> None:
    assert (await run_command("--version", env=environment(tmp_path))).code == 0
    server = psutil.Process(command_server().pid)
    assert str(tmp_path) not in " ".join([*server.cmdline(), server.cwd(), *server.environ().values()])
