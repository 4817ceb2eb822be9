"""`python -m api` as a process of its own: first start, second start, end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from contracts.nouns import ProjectCreate
from contracts.progress import Projection
from runtime.api_client import ApiClient
from tests.support.api import new_database, projection
from tests.support.eventually import eventually
from tests.support.patience import within
from tests.support.ports import any_free


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "ORCHESTRATOR_HOME": str(tmp_path / "home"),
        "ORCHESTRATOR_API_PORT": str(any_free()),
        "ORCHESTRATOR_TEMPORAL_PORT": str(any_free()),
        "ORCHESTRATOR_LOG_JSON": "true",
    }


async def run(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", *arguments, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    return process.returncode or 0, errors.decode()


@asynccontextmanager
async def serving(environment: dict[str, str]) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{environment['ORCHESTRATOR_API_PORT']}"

    async def answers() -> bool:
        async with httpx.AsyncClient(trust_env=False) as http:
            try:
                return (await http.get(f"{url}/health")).status_code == 200
            except httpx.TransportError:
                return False

    try:
        await eventually(answers, timeout=20)
        yield url, process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def key(environment: dict[str, str], name: str) -> str:
    return (Path(environment["ORCHESTRATOR_HOME"]) / "keys" / name).read_text().strip()


async def test_a_terminated_api_ends_its_open_streams_and_a_new_one_continues(environment: dict[str, str]) -> None:
    environment["DATABASE_URL"] = await new_database()
    for _ in range(2):
        assert (await run(environment, "bootstrap"))[0] == 0
    seen: list[str | None] = []

    async def watch(url: str) -> None:
        async with ApiClient(url, key(environment, "admin.key")) as person:
            seen.extend([event.event.message async for event in person.watch("eng-1")])

    def said(seq: int, state: str, message: str) -> Projection:
        event = {"type": "progress", "request_id": "r", "message": message}
        return Projection.model_validate(projection("eng-1", "p-1", seq=seq, state=state, milestone=event))

    async with serving(environment) as (url, process):
        async with ApiClient(url, key(environment, "admin.key")) as person:
            await person.create_project(ProjectCreate(id="p-1", name="blog"))
        async with ApiClient(url, key(environment, "api-service.key")) as platform:
            await platform.apply_projection(said(1, "running", "first"))
        watching = asyncio.create_task(watch(url))
        async with ApiClient(url, key(environment, "admin.key")) as person:
            await eventually(lambda: person.events("eng-1"))
        process.send_signal(signal.SIGTERM)
        await within(process.wait(), 8)
    async with serving(environment) as (url, _), ApiClient(url, key(environment, "api-service.key")) as platform:
        await platform.apply_projection(said(2, "completed", "second"))
        await within(watching, 30)
    assert seen == ["first", "second"]


async def test_a_start_without_bootstrap_says_what_is_missing(environment: dict[str, str]) -> None:
    environment["DATABASE_URL"] = await new_database()
    code, errors = await run(environment, "serve")
    assert code == 1
    assert "There is no" in errors
    assert "Traceback" not in errors


async def test_a_wrong_setting_is_one_clear_line(environment: dict[str, str]) -> None:
    code, errors = await run({**environment, "ORCHESTRATOR_API_PORT": "many"}, "serve")
    assert code == 1
    assert "ORCHESTRATOR_API_PORT" in errors
    assert "Traceback" not in errors
