"""The agents' worker reaches the engine through a proxy that lets pass what its adapters need, and nothing else."""

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
from tests.integration.infra.engine_proxy import running_proxy
from tests.support.services.container_service import no_engine

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


POWERS: dict[str, Any] = {
    "Privileged": True,
    "privileged": True,
    "CapAdd": ["SYS_ADMIN"],
    "CapDrop": [],
    "SecurityOpt": ["seccomp=unconfined"],
    "Binds": ["/:/host"],
    "Mounts": [{"Target": "/host", "Source": "/", "Type": "bind", "ReadOnly": False}],
    "Devices": [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda", "CgroupPermissions": "rwm"}],
    "DeviceCgroupRules": ["a *:* rwm"],
    "PidMode": "host",
    "IpcMode": "host",
    "UsernsMode": "host",
    "NetworkMode": "host",
    "VolumesFrom": ["orchestrator_postgres_1"],
    "CgroupParent": "/",
    "Sysctls": {"kernel.msgmax": "1"},
    "PortBindings": {"80/tcp": [{"HostPort": "80"}]},
    "Runtime": "other",
}


@pytest.mark.parametrize(("key", "value"), POWERS.items(), ids=POWERS.keys())
async def test_a_container_with_power_over_the_host_is_refused(
    proxy: str, image: str, name: str, key: str, value: object
) -> None:
    body = await described(image, name)
    body["HostConfig"][key] = value
    assert (await create(proxy, name, json.dumps(body))).status_code == 403


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('"HostConfig": {', '"HostConfig": {"Privileg\\u0065d": true, '),
        ('"HostConfig": {', '"HostConfig": {"Mount\u017f": [], '),
        ('"CapDrop": ["ALL"]', '"CapDrop": ["ALL"], "CapDrop": ["NET_RAW"]'),
        ('"Source": "venv-', '"Source": "orchestrator_keys", "Target": "venv-'),
        ('"User": "1000:1000", ', ""),
        ('"Image": "codegen-orchestrator-worker:', '"Image": "orchestrator_api:'),
    ],
)
async def test_a_disguised_power_is_refused(proxy: str, image: str, name: str, good: str, bad: str) -> None:
    body = json.dumps(await described(image, name))
    assert good in body
    assert (await create(proxy, name, body.replace(good, bad, 1))).status_code == 403


async def test_what_does_not_fit_into_the_proxy_is_refused(proxy: str, image: str, name: str) -> None:
    body = json.dumps({**await described(image, name), "Env": ["A=" + "x" * 140_000]})
    assert (await create(proxy, name, body)).status_code == 413


async def test_a_body_in_chunks_is_refused(proxy: str, image: str, name: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield json.dumps(await described(image, name)).encode()

    async with httpx.AsyncClient(trust_env=False) as http:
        reply = await http.post(f"{proxy}/v1.41/containers/create?name={name}", content=chunks())
    assert reply.status_code == 400


FORBIDDEN = [
    ("POST", "/v1.41/containers/{own}/exec", ""),
    ("POST", "/v1.41/exec/abc/start", ""),
    ("POST", "/v1.41/containers/{own}/attach?stdin=1&stream=1", ""),
    ("POST", "/v1.41/containers/{own}/update", "{}"),
    ("POST", "/v1.41/containers/{own}/rename?name=venv-x", ""),
    ("POST", "/v1.41/containers/{foreign}/stop", ""),
    ("DELETE", "/v1.41/containers/{foreign}", ""),
    ("GET", "/v1.41/containers/{foreign}/json", ""),
    ("GET", "/v1.41/containers/{foreign}/archive?path=/", ""),
    ("PUT", "/v1.41/containers/{foreign}/archive?path=/", ""),
    ("GET", "/v1.41/containers/{own}%2f..%2f{foreign}/json", ""),
    ("GET", "/v1.41/containers/{own}/../{foreign}/json", ""),
    ("POST", "/v1.41/containers/create?name=postgres", "{}"),
    ("POST", "/v1.41/volumes/create", '{"Name": "venv-x", "DriverOpts": {"type": "none", "o": "bind", "device": "/"}}'),
    ("POST", "/v1.41/volumes/create", '{"Name": "venv-x", "Labels": {}, "Driver": "other"}'),
    ("DELETE", "/v1.41/volumes/orchestrator_postgres", ""),
    ("POST", "/v1.41/volumes/prune", ""),
    ("GET", "/v1.41/volumes", ""),
    ("POST", "/v1.41/networks/create", '{"Name": "orchestrator-agents", "Driver": "macvlan"}'),
    ("POST", "/v1.41/networks/orchestrator-agents/connect", '{"Container": "x"}'),
    ("POST", "/v1.41/build?t=codegen-orchestrator-worker%3Ax&networkmode=host", ""),
    ("POST", "/v1.41/build?t=codegen-orchestrator-worker%3Ax&%6eetworkmode=host", ""),
    ("POST", "/v1.41/build?t=debian%3Abookworm-slim", ""),
    ("POST", "/v1.41/build?t=codegen-orchestrator-worker%3Ax&remote=http://x/", ""),
    ("POST", "/v1.41/images/create?fromImage=debian", ""),
    ("GET", "/v1.41/images/{foreign}/get", ""),
    ("DELETE", "/v1.41/images/debian:bookworm-slim", ""),
    ("POST", "/v1.41/images/codegen-orchestrator-worker:x/tag?repo=debian&tag=bookworm-slim", ""),
    ("GET", "/v1.41/secrets", ""),
    ("POST", "/v1.41/swarm/init", "{}"),
    ("POST", "/v1.41/plugins/pull", "{}"),
    ("GET", "/v1.41/events", ""),
]


@pytest.mark.parametrize(("method", "path", "body"), FORBIDDEN, ids=[f"{one[0]} {one[1]}" for one in FORBIDDEN])
async def test_every_other_call_is_refused(proxy: str, method: str, path: str, body: str) -> None:
    raw = path.replace("{own}", "venv-abc").replace("{foreign}", "0123456789ab")
    # As it is: the client must not normalise the path before it is sent.
    url = httpx.URL(proxy).copy_with(raw_path=raw.encode())
    async with httpx.AsyncClient(trust_env=False) as http:
        reply = await http.send(
            http.build_request(method, url, content=body, headers={"Content-Type": "application/json"})
        )
    assert reply.status_code == 403, reply.text
    assert "refused" in reply.text


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
