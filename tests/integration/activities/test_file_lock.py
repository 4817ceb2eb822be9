"""Locks between processes: who is killed frees them, who waits stops nothing else, who gives up leaves no trace."""

import asyncio
import os
import signal
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from activities.adapters.runs.file_lock import file_lock, machine_lock
from contracts.errors import ErrorCode, OrchestratorError
from tests.support.patience import within

_HOLDER = """
import asyncio, pathlib, sys
from activities.adapters.runs.file_lock import file_lock

async def hold():
    async with file_lock(pathlib.Path(sys.argv[1])):
        print("held", flush=True)
        await asyncio.sleep(600)

asyncio.run(hold())
"""


async def _holder(path: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HOLDER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    return process


async def _take(path: Path) -> None:
    async with file_lock(path):
        pass


async def test_a_holder_that_is_killed_frees_the_lock_and_not_earlier(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "one.lock"
    holder = await _holder(path)
    waiting = asyncio.create_task(_take(path))
    try:
        assert not (await asyncio.wait({waiting}, timeout=0.2))[0]
    finally:
        holder.send_signal(signal.SIGKILL)
        await holder.wait()
    await within(waiting, 10)


async def test_more_waiters_than_threads_leave_threads_for_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    async with asyncio.TaskGroup() as waiters, file_lock(path):
        for _ in range(64):
            waiters.create_task(_take(path))
        await asyncio.sleep(0)
        assert await within(asyncio.to_thread(lambda: 1), 10) == 1


async def test_a_waiter_that_is_cancelled_leaves_the_lock_free(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    async with file_lock(path):
        waiting = asyncio.create_task(_take(path))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await within(_take(path), 10)


async def test_the_file_is_private_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    await _take(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("made", ["a link", "open to others", "somebody else's"])
async def test_a_place_for_locks_that_somebody_else_made_first_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str
) -> None:
    """Else they could hold up this machine's installations, or have a file emptied that a link leads to."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    place = tmp_path / f"codegen-orchestrator-{os.getuid()}"
    if made == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        place.symlink_to("elsewhere")
    else:
        place.mkdir(mode=0o700)
        if made == "open to others":
            place.chmod(0o777)
        elif os.geteuid() == 0:
            os.chown(place, 23_456, 23_456)
        else:
            monkeypatch.setattr(os, "getuid", lambda: 23_456)
            place.rename(tmp_path / "codegen-orchestrator-23456")
    with pytest.raises(OrchestratorError) as refused:
        machine_lock("one")
    assert refused.value.code is ErrorCode.PROCESS_FAILED


async def test_a_place_for_locks_of_our_own_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    async with machine_lock("one"):
        [place] = tmp_path.iterdir()
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
