"""The embedded PostgreSQL, run as a plain child process the way `up` runs it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from contracts.errors import ErrorCode, OrchestratorError
from runtime.embedded import postgres
from tests.support.eventually import eventually
from tests.support.patience import within
from tests.support.ports import any_free


@asynccontextmanager
async def running(command: postgres.PostgresCommand) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command.argv,
        env=command.env,
        cwd=command.cwd,
        user=command.user_id,
        group=command.group_id,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await postgres.wait_ready(command.url)
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(postgres.STOP_SIGNAL)
            await within(process.wait(), 20)


async def connect(command: postgres.PostgresCommand) -> asyncpg.Connection:
    return await asyncpg.connect(command.url.replace("+asyncpg", ""))


async def remember(command: postgres.PostgresCommand, note: str) -> None:
    connection = await connect(command)
    await connection.execute("CREATE TABLE IF NOT EXISTS notes (note text)")
    await connection.execute("INSERT INTO notes VALUES ($1)", note)
    await connection.close()


async def remembered(command: postgres.PostgresCommand) -> list[str]:
    connection = await connect(command)
    rows = await connection.fetch("SELECT note FROM notes ORDER BY note")
    await connection.close()
    return [row["note"] for row in rows]


async def test_a_second_prepare_keeps_the_data_and_finds_a_running_server(tmp_path: Path) -> None:
    data = tmp_path / "state" / "postgres"
    first = await asyncio.to_thread(postgres.prepare, data)
    assert first.running_pid is None
    async with running(first) as process:
        await remember(first, "kept")
        meanwhile = await asyncio.to_thread(postgres.prepare, data)
        assert meanwhile.running_pid == process.pid
        assert meanwhile.url == first.url
    second = await asyncio.to_thread(postgres.prepare, data)
    assert second == first
    async with running(second):
        assert await remembered(second) == ["kept"]


async def test_committed_rows_survive_a_kill(tmp_path: Path) -> None:
    command = await asyncio.to_thread(postgres.prepare, tmp_path / "postgres")
    async with running(command) as process:
        await remember(command, "committed")
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    # The kernel keeps the shared memory until the last backend has seen that its parent is gone.
    async with running(await eventually(lambda: _prepared_again(tmp_path / "postgres"))) as process:
        assert await remembered(command) == ["committed"]
        assert process.returncode is None


def _prepared_again(data_dir: Path) -> postgres.PostgresCommand | None:
    command = postgres.prepare(data_dir)
    return command if command.running_pid is None else None


async def test_over_tcp_the_server_asks_for_the_generated_password(tmp_path: Path) -> None:
    command = await asyncio.to_thread(postgres.prepare, tmp_path / "postgres", any_free())
    async with running(command):
        await remember(command, "with the password")
        password = (tmp_path / "postgres.password").read_text()
        assert password in command.url
        assert (tmp_path / "postgres.password").stat().st_mode & 0o777 == 0o600
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(command.url.replace("+asyncpg", "").replace(password, "guess"))


async def test_a_path_too_long_for_a_socket_falls_back_to_tcp(tmp_path: Path) -> None:
    data = tmp_path / ("long-" * 20) / "postgres"
    command = await asyncio.to_thread(postgres.prepare, data)
    assert "@127.0.0.1:" in command.url
    async with running(command) as process:
        again = await asyncio.to_thread(postgres.prepare, data)
        assert again.url == command.url
        assert again.running_pid == process.pid


@pytest.mark.parametrize("said", [[""], []], ids=["no socket yet", "a file cut short"])
async def test_a_server_that_is_only_starting_is_not_taken_for_one_on_tcp(tmp_path: Path, said: list[str]) -> None:
    """A client that asked at that moment would use a wrong address."""
    data = tmp_path / "postgres"
    command = await asyncio.to_thread(postgres.prepare, data)
    async with running(command) as process:
        whole = (data / "postmaster.pid").read_text()
        (data / "postmaster.pid").write_text("\n".join([*whole.splitlines()[:4], *said]) + "\n")
        asked = await asyncio.to_thread(postgres.prepare, data)
        (data / "postmaster.pid").write_text(whole)
        assert (asked.url, asked.running_pid) == (command.url, process.pid)


async def test_without_a_socket_the_port_stays_the_same_over_a_kill(tmp_path: Path) -> None:
    data = tmp_path / ("long-" * 20) / "postgres"
    command = await asyncio.to_thread(postgres.prepare, data)
    async with running(command) as process:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    again = await eventually(lambda: _prepared_again(data))
    assert (again.url, again.argv) == (command.url, command.argv)


async def test_without_a_socket_a_port_that_others_have_taken_is_given_up(tmp_path: Path) -> None:
    data = tmp_path / ("long-" * 20) / "postgres"
    command = await asyncio.to_thread(postgres.prepare, data)
    with socket.create_server(("127.0.0.1", int((data.parent / "postgres.port").read_text()))):
        again = await asyncio.to_thread(postgres.prepare, data)
    assert again.url != command.url
    async with running(again):
        await remember(again, "there")


async def test_a_failed_preparation_leaves_nothing_half_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "programs_dir", lambda: tmp_path)
    with pytest.raises(OrchestratorError, match="PostgreSQL could not be prepared") as caught:
        postgres.prepare(tmp_path / "postgres")
    assert caught.value.code == ErrorCode.PROCESS_FAILED
    monkeypatch.undo()
    command = await asyncio.to_thread(postgres.prepare, tmp_path / "postgres")
    async with running(command):
        await remember(command, "prepared after all")


async def test_a_server_that_never_answers_is_reported_without_its_password() -> None:
    url = f"postgresql+asyncpg://orchestrator:very-secret@127.0.0.1:{any_free()}/orchestrator"
    with pytest.raises(OrchestratorError) as caught:
        await postgres.wait_ready(url, timeout=0.2)
    assert caught.value.retryable
    assert "very-secret" not in f"{caught.value.message} {caught.value.details}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lets another user pass")
def test_what_is_opened_for_the_databases_user_is_told_beside_the_result_of_a_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    postgres.prepare(closed / "postgres", 0)
    assert closed.stat().st_mode & 0o777 == 0o701
    assert f"opened {closed} for the user of PostgreSQL" in caplog.text
    assert capfd.readouterr().out == "", "standard output is for the result, and may be JSON"
