"""The engine proxy as a process, in front of an engine that writes down what reaches it: nothing dangerous does."""

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from activities.adapters.containers.engine import Bind, ContainerSpec, DockerContainerEngine, obstacle
from activities.adapters.containers.images import BASE_IMAGE
from tests.integration.infra.dangerous_calls import CREATE, OWN, SET_UP, dangerous_requests, harmless, request
from tests.integration.infra.recording_engine import RecordingEngine, proxied_engine
from tests.support.eventually import eventually
from tests.support.patience import patience

REQUESTS = dangerous_requests()
IMAGE = "codegen-orchestrator-worker:0123"


@dataclass
class Place:
    host: str
    port: int
    engine: RecordingEngine

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def says(self, sent: bytes) -> tuple[int, bytes]:
        """The status and everything else of the first reply to raw bytes."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(sent)
            async with asyncio.timeout(patience(10)):
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                rest = await reader.readexactly(int(length[1])) if length else await reader.read()
            return int(head.split()[1]), head + rest
        finally:
            writer.close()


@pytest.fixture(scope="module")
async def module_place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with proxied_engine(tmp_path_factory.mktemp("engine")) as (host, port, engine):
        yield Place(host, port, engine)


@pytest.fixture
def place(module_place: Place) -> Place:
    module_place.engine.calls.clear()
    module_place.engine.raw.clear()
    module_place.engine.reply = None
    module_place.engine.foreign.clear()
    module_place.engine.missing.clear()
    return module_place


@pytest.mark.parametrize("what", REQUESTS, ids=list(REQUESTS))
async def test_a_dangerous_call_never_reaches_the_engine(place: Place, what: str) -> None:
    status, said = await place.says(REQUESTS[what])
    assert status in {400, 403, 413, 431, 501, 505}, said
    assert b"refused by the engine proxy" in said
    assert place.engine.calls == []


def test_there_are_more_than_thirty_of_them() -> None:
    assert len(REQUESTS) > 100


async def test_everything_that_agents_need_passes(place: Place) -> None:
    engine, said = DockerContainerEngine(place.url), bytearray()
    spec = ContainerSpec(
        "venv-1", IMAGE, ["echo", 'A "quoted": {"Privileged": true}, \\ и по-русски'], environment={"A": 'п"х,'},
        binds=(Bind("venv-1", "/venv", read_only=True),), network="orchestrator-agents", read_only=True,
    )  # fmt: skip
    assert await asyncio.to_thread(obstacle, BASE_IMAGE, place.url) is None
    await engine.ensure_volume("venv-1", {"codegen-orchestrator.kind": "venv"})
    await engine.ensure_network("orchestrator-agents")
    await engine.create(spec)
    await engine.put_archive("venv-1", "/out", b"x" * 300_000)
    assert await engine.start("venv-1")
    assert await engine.wait("venv-1", 20)
    await engine.copy_output("venv-1", 0, said.extend, follow=False)
    await engine.facts("venv-1", "/out/x")
    await engine.stop("venv-1", 5)
    assert await engine.names({}) == ["venv-1"]
    assert await engine.has_image(IMAGE)
    await engine.tag_image(f"{IMAGE}-draft", IMAGE)
    await engine.remove_tag(f"{IMAGE}-draft")
    await engine.build_image(io.BytesIO(b"tar").getvalue(), IMAGE, {"http_proxy": "http://x:3128"})
    await engine.remove("venv-1")
    await engine.remove_volume("venv-1")
    asked = "\n".join(place.engine.lines)
    for call in ("create?name=venv-1", "venv-1/archive?path", "venv-1/start", "POST /v1.41/build?", "volumes/venv-1"):
        assert call in asked
    created = next(body for line, body in place.engine.calls if "containers/create" in line)
    assert json.loads(created)["Cmd"] == spec.argv
    assert len(next(body for line, body in place.engine.calls if "PUT" in line)) == 300_000


async def test_a_set_up_environment_becomes_an_image(place: Place) -> None:
    await DockerContainerEngine(place.url).commit(SET_UP, f"{IMAGE}-draft")
    [(line, body)] = [(line, body) for line, body in place.engine.calls if "commit" in line]
    assert "repo=codegen-orchestrator-worker&tag=0123-draft" in line
    assert json.loads(body) == {}


async def test_checks_share_the_loopback_device_of_their_own_services(place: Place) -> None:
    create = "/v1.41/containers/create?name=accept-a"
    shared = json.dumps(harmless(NetworkMode="container:accept-a-services"))
    status, said = await place.says(request("POST", create, shared))
    assert status == 200, said
    place.engine.foreign |= {"accept-a-services"}
    status, said = await place.says(request("POST", create, shared))
    assert status == 403, said


async def test_the_one_network_of_agents_can_be_made(place: Place) -> None:
    wanted = {
        "Name": "orchestrator-agents",
        "Driver": "bridge",
        "Options": {"com.docker.network.bridge.enable_icc": "false"},
        "IPAM": {"Driver": "default", "Config": []},
        "CheckDuplicate": True,
        "Labels": {"codegen-orchestrator.mark": "1"},
    }
    status, said = await place.says(request("POST", "/v1.41/networks/create", json.dumps(wanted)))
    assert status == 200, said


_MOUNTS = [{"Type": "volume", "Source": "home-assistant", "Target": "/venv"}]


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/v1.41/containers/test-db/stop", ""),
        ("POST", "/v1.41/containers/test-db/start", ""),
        ("DELETE", "/v1.41/containers/test-db?force=1&v=1", ""),
        ("GET", "/v1.41/containers/test-db/json", ""),
        ("GET", "/v1.41/containers/test-db/logs?stdout=1", ""),
        ("GET", "/v1.41/containers/test-db/archive?path=/", ""),
        ("PUT", "/v1.41/containers/test-db/archive?path=/", "x"),
        ("DELETE", "/v1.41/volumes/home-assistant", ""),
        ("GET", "/v1.41/volumes/home-assistant", ""),
        ("POST", CREATE, json.dumps(harmless(Mounts=_MOUNTS))),
        ("POST", f"/v1.41/commit?container={SET_UP}&repo=codegen-orchestrator-worker&tag=x", "{}"),
    ],
)
async def test_a_thing_of_somebody_else_with_a_name_like_ours_stays_theirs(
    place: Place, method: str, target: str, body: str
) -> None:
    place.engine.foreign |= {"test-db", "home-assistant", SET_UP}
    status, said = await place.says(request(method, target, body))
    assert (status, b"somebody else" in said) == (403, True)
    assert place.engine.calls == []


async def test_what_is_not_there_is_asked_of_the_engine_itself(place: Place) -> None:
    place.engine.missing |= {"test-1", "venv-abc"}
    mounts = [{"Type": "volume", "Source": "venv-abc", "Target": "/venv"}]
    for sent in (
        request("GET", "/v1.41/containers/test-1/json"),
        request("POST", CREATE, json.dumps(harmless(Mounts=mounts))),
    ):
        assert (await place.says(sent))[0] == 200
    assert len(place.engine.calls) == 2


MODELS = {"Type": "volume", "Source": "codegen-orchestrator-models", "Target": "/model", "ReadOnly": True}


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 200),
        ({"ReadOnly": False}, 403),
        ({"ReadOnly": None}, 403),
        ({"Target": "/venv"}, 403),
        ({"Source": "venv-abc"}, 403),
        ({"Source": "codegen-orchestrator-models/../postgres"}, 403),
        ({"Type": "bind", "Source": "/"}, 403),
    ],
)
async def test_agents_read_the_socket_of_the_model_proxy_and_nothing_else_beside_their_own(
    place: Place, changed: dict[str, object], status: int
) -> None:
    mount = {key: value for key, value in (MODELS | changed).items() if value is not None}
    sent = request("POST", CREATE, json.dumps(harmless(Mounts=[mount])))
    assert (await place.says(sent))[0] == status
    assert len(place.engine.calls) == (status == 200)


async def test_headers_of_the_caller_stay_outside(place: Place) -> None:
    status, _ = await place.says(request("POST", f"/v1.41/containers/{OWN}/start", b"", "X-Registry-Auth: e30="))
    assert status == 200
    assert b"x-registry" not in bytes(place.engine.raw).lower()
    assert b"Host: docker" in bytes(place.engine.raw)


async def test_two_calls_share_a_connection_and_a_refusal_ends_it(place: Place) -> None:
    reader, writer = await asyncio.open_connection(place.host, place.port)
    good = request("GET", "/_ping")
    writer.write(good + good + REQUESTS["POST /v1.41/containers/{foreign}/stop"] + good)
    async with asyncio.timeout(patience(10)):
        said = await reader.read()
    writer.close()
    assert said.count(b"HTTP/1.1 200") == 2
    assert said.count(b"HTTP/1.1 403") == 1
    assert place.engine.lines == ["GET /_ping", "GET /_ping"]


async def test_a_log_is_passed_on_piece_by_piece_and_a_caller_may_leave(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/json" in await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await writer.drain()
        await reader.read()
        left.set()
        writer.close()

    async with proxied_engine(tmp_path, endless) as (host, port, _):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request("GET", f"/v1.41/containers/{OWN}/logs?stdout=1&follow=1&tail=all"))
        async with asyncio.timeout(patience(10)):
            await reader.readuntil(b"first")
        assert not left.is_set()
        writer.close()
        await eventually(left.is_set, 10, message="the engine sees that nobody listens")


async def test_an_engine_that_is_down_is_told_as_such(place: Place, tmp_path: Path) -> None:
    async with proxied_engine(tmp_path) as (host, port, _):
        (tmp_path / "engine.sock").unlink()
        status, said = await Place(host, port, place.engine).says(request("GET", "/_ping"))
    assert status == 503
    assert b"does not answer" in said


async def test_a_harmless_container_passes_as_it_was_described(place: Place) -> None:
    wanted = harmless(Mounts=[{"Type": "volume", "Source": "venv-abc", "Target": "/venv", "ReadOnly": True}])
    status, said = await place.says(request("POST", CREATE, json.dumps(wanted, ensure_ascii=False)))
    assert status == 200, said
    assert [json.loads(body) for _, body in place.engine.calls] == [wanted]
