"""A command from the command server is the command as a process: what it says, how it ends, what it knows."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import psutil
import pytest

from tests.support.command_server import ROOT, CommandServer, command_server
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
    (["project", "create", "\udcff"], "", {}, 2),
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


async def test_a_command_has_no_variable_but_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    server = CommandServer()
    try:
        code, _, _ = await server.run(["--version"], env={}, stdin=b"", timeout=60)
        _, _, said = await server.run(["project", "list"], env={"PATH": os.environ["PATH"]}, stdin=b"", timeout=60)
    finally:
        server.close()
    assert code == 0
    assert str(tmp_path) not in said.decode()


@pytest.fixture
async def waiting(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """The environment of commands that wait for an answer of their API; the command server is there already."""
    assert (await run_command("--version", env=environment(tmp_path))).code == 0
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        yield environment(tmp_path, ORCHESTRATOR_API_URL=url, ORCHESTRATOR_TOKEN="t")


async def _running_command() -> psutil.Process:
    await eventually(lambda: len(children()) == 2, 30, message="the command and who waits for it")
    return children()[-1]


@pytest.mark.deep
async def test_a_command_that_takes_too_long_is_killed(waiting: dict[str, str]) -> None:
    running = asyncio.create_task(run_command("project", "list", env=waiting, timeout=3))
    (await _running_command()).suspend()
    with pytest.raises(TimeoutError):
        await running
    await eventually(lambda: not children(), 10, message="the end of the command")


async def test_a_command_that_is_given_up_is_killed(waiting: dict[str, str]) -> None:
    running = asyncio.create_task(run_command("project", "list", env=waiting))
    (await _running_command()).suspend()
    running.cancel()
    await eventually(lambda: not children(), 10, message="the end of the command")


async def test_a_command_that_is_killed_says_so_and_the_next_one_works(waiting: dict[str, str]) -> None:
    running = asyncio.create_task(run_command("project", "list", env=waiting))
    (await _running_command()).kill()
    assert (await running).code == -signal.SIGKILL
    assert (await run_command("--version", env=waiting)).code == 0


@pytest.mark.parametrize("ending", ["", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["ends", "is killed"])
async def test_no_process_is_left_when_the_tests_process(ending: str, tmp_path: Path) -> None:
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


@pytest.mark.deep
async def test_it_belongs_to_no_home(tmp_path: Path) -> None:
    assert (await run_command("--version", env=environment(tmp_path))).code == 0
    server = psutil.Process(command_server().pid)
    assert str(tmp_path) not in " ".join([*server.cmdline(), server.cwd(), *server.environ().values()])
