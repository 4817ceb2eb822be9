"""The agents' worker reaches the engine through a proxy that lets pass what its adapters need, and nothing else.

`test_engine_proxy_calls.py` makes the same calls without an engine.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from activities.adapters.containers.engine import (
    Bind,
    ContainerSpec,
    DockerContainerEngine,
    _creation,
    connect,
    obstacle,
)
from activities.adapters.containers.images import BASE_IMAGE, DockerImages
from activities.adapters.containers.runs import archive_of
from contracts.errors import ErrorCode, OrchestratorError
from tests.integration.infra.dangerous_calls import POWERS, dangerous_requests
from tests.integration.infra.engine_proxy import running_proxy
from tests.support.services.container_service import no_engine

REQUESTS = dangerous_requests()
pytestmark = pytest.mark.timeout(400)  # the first run builds two images


@pytest.fixture(scope="module")
async def proxy() -> AsyncIterator[str]:
    problem = no_engine()
    if problem is not None:
        pytest.skip(problem)
    async with running_proxy() as address:
        yield address


@pytest.fixture(scope="module")
async def image(proxy: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of agents, built through the proxy where it is missing."""
    return await DockerImages(DockerContainerEngine(proxy), tmp_path_factory.mktemp("locks")).worker()


@pytest.fixture
def name() -> str:
    return f"venv-{uuid4().hex[:12]}"


async def test_a_run_with_its_volume_works_through_the_proxy(proxy: str, image: str, name: str) -> None:
    engine, said = DockerContainerEngine(proxy), bytearray()
    spec = ContainerSpec(name, image, ["cat", "/out/x"], environment={"A": 'п"х,'}, binds=(Bind(name, "/venv"),))
    assert obstacle(BASE_IMAGE, proxy) is None
    await engine.ensure_volume(name, {})
    await engine.ensure_network("orchestrator-agents")
    try:
        await engine.create(spec)
        await engine.put_archive(name, "/out", archive_of({"x": b"hello"}))
        await engine.start(name)
        assert await engine.wait(name, 20)
        await engine.copy_output(name, 0, said.extend)
        assert bytes(said) == b"hello"
        assert await engine.read_file(name, "/out/x", 100) == b"hello"
        assert name in await engine.names({})
    finally:
        await engine.remove(name)
        await engine.remove_volume(name)


async def test_a_long_wish_with_every_kind_of_character_passes(proxy: str, image: str, name: str) -> None:
    engine = DockerContainerEngine(proxy)
    wish = 'A "quoted": {"Privileged": true}, \\ и по-русски: да\n\t' * 600
    await engine.create(ContainerSpec(name, image, ["echo", wish, ": a colon first"]))
    await engine.remove(name)


@pytest.mark.parametrize("what", REQUESTS, ids=list(REQUESTS))
async def test_a_dangerous_call_is_refused(proxy: str, what: str) -> None:
    address = httpx.URL(proxy)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(REQUESTS[what])
        said = await reader.read()
    finally:
        writer.close()
    assert b"refused by the engine proxy" in said


async def test_powers_are_refused_with_an_image_that_exists(proxy: str, image: str, name: str) -> None:
    """What is described is what the adapter sends; so only the power can be the reason."""
    for key, value in POWERS.items():
        body = await described(image, name)
        body["HostConfig"][key] = value
        assert (await create(proxy, name, json.dumps(body))).status_code == 403, key


async def test_a_refusal_is_told_as_such(proxy: str, image: str) -> None:
    engine = DockerContainerEngine(proxy)
    with pytest.raises(OrchestratorError) as refused:
        await engine.create(ContainerSpec("postgres", image, ["true"]))
    assert refused.value.code is ErrorCode.PROCESS_FAILED
    assert "refused by the engine proxy" in refused.value.message


async def described(image: str, name: str) -> dict[str, Any]:
    """What the adapter sends for a harmless container."""
    api = connect(None, 10)
    asked = _creation(api, ContainerSpec(name, image, ["true"], binds=(Bind(name, "/venv"),)))
    host = {key: value for key, value in asked["host_config"].items() if value is not None}
    known = {"User": asked["user"], "Cmd": asked["command"], "Image": asked["image"], "HostConfig": host}
    return {**known, "WorkingDir": "/", "Labels": asked["labels"]}


async def create(proxy: str, name: str, body: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        headers = {"Content-Type": "application/json"}
        return await http.post(f"{proxy}/v1.41/containers/create?name={name}", content=body, headers=headers)
