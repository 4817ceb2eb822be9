"""The release program's way to the engine: what it refuses, does not know, or cannot be asked."""

import asyncio
from pathlib import Path

import pytest

from activities.adapters.release import engine_socket as engine
from contracts.errors import ErrorCode, OrchestratorError
from tests.support.services.container_service import no_engine


@pytest.fixture(autouse=True)
def _with_an_engine() -> None:
    obstacle = no_engine()
    if obstacle is not None:
        pytest.skip(obstacle)


async def test_what_the_engine_does_not_know_is_nothing() -> None:
    assert await engine.find("/containers/no-such-container-of-ours/json") is None
    assert not (await engine.try_call("DELETE", "/containers/no-such-container-of-ours", query={"force": 1})).ok


async def test_what_the_engine_refuses_is_final_and_told_in_its_words() -> None:
    with pytest.raises(OrchestratorError, match="no-such-filter") as refused:
        await engine.call("GET", "/containers/json", {"filters": '{"no-such-filter": ["x"]}'})
    assert refused.value.code is ErrorCode.PROCESS_FAILED
    assert not refused.value.retryable


async def test_an_engine_that_takes_too_long_is_not_waited_for() -> None:
    with pytest.raises(OrchestratorError, match=r"within 0\.2 s") as late:
        await engine.try_call("GET", "/events", timeout_s=0.2)
    assert late.value.retryable


async def test_an_engine_that_is_down_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SOCKET", tmp_path / "docker.sock")
    await assert_away()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.0 200 OK\r\n", b'HTTP/1.0 200 OK\r\n\r\n{"Id": "an'])
async def test_an_engine_that_stops_in_the_middle_of_its_answer_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    monkeypatch.setattr(engine, "SOCKET", tmp_path / "docker.sock")
    server = await asyncio.start_unix_server(cut, tmp_path / "docker.sock")
    async with server:
        await assert_away()


async def assert_away() -> None:
    with pytest.raises(OrchestratorError) as away:
        await engine.find("/containers/server/json")
    assert away.value.code is ErrorCode.DOCKER_UNREACHABLE
    assert away.value.retryable
