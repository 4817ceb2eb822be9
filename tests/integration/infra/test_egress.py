"""What an agent in a container reaches: the gateway and the way to it as processes, over a socket as in containers."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.egress.rules import Denied, Policy, is_public, plain
from runtime.embedded.ports import any_free
from tests.support.eventually import eventually
from tests.support.patience import patience

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Site:
    """A server of this machine, which no agent may reach unless it is the platform's own gateway address."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    one = Site()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    yield one
    server.close()


Gateway = Callable[[Policy], AbstractAsyncContextManager[int]]


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    @asynccontextmanager
    async def running(policy: Policy) -> AsyncIterator[int]:
        """The port that programs in the agent's container are told."""
        place, port = str(tmp_path / "egress.sock"), any_free()
        serving = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "infra.egress", "serve", place, policy.written(), cwd=ROOT
        )
        forwarding = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FORWARD, place, str(port), stdin=asyncio.subprocess.PIPE, cwd=ROOT
        )
        try:
            await eventually(lambda: Path(place).is_socket() and answers(port), message="the way out is open")
            yield port
        finally:
            serving.terminate()
            assert forwarding.stdin is not None
            forwarding.stdin.close()
            await asyncio.gather(serving.wait(), forwarding.wait())

    return running


# The forwarder goes on in a child once it listens, as in a container, whose end is its end.
FORWARD = """
import os, runpy, signal, sys
sys.argv = ["egress", "forward", *sys.argv[1:]]
os.setsid()
try:
    runpy.run_module("infra.egress", run_name="__main__")
except SystemExit:
    pass
if os.getpid() == os.getsid(0):
    sys.stdin.read()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
"""


def answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


async def says(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(patience(20)):
            return await reader.read()
    finally:
        writer.close()


def connect(host: str, port: int) -> bytes:
    return f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()


def get(url: str) -> bytes:
    lines = [f"GET {url} HTTP/1.1", "Host: other.example", "Proxy-Authorization: Basic x", "Proxy-Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_the_one_gateway_address_is_reached_with_connect_and_with_plain_http(
    gateway: Gateway, site: Site
) -> None:
    async with gateway(Policy(gateway=(f"localhost:{site.port}",))) as port:
        said = await says(port, connect("localhost", site.port) + b"GET / HTTP/1.1\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK")
        assert (await says(port, get(f"http://localhost:{site.port}/a?b=c"))).endswith(b"hello")
    head = site.heads[1].decode()
    assert head.startswith("GET /a?b=c HTTP/1.1\r\n")
    assert f"Host: localhost:{site.port}\r\n" in head
    assert "other.example" not in head
    assert "Proxy-" not in head


OWN = ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1",
       "172.17.0.1", "192.168.1.1", "100.64.0.1", "[fe80::1]", "[fd00::1]", "224.0.0.1", "[64:ff9b::7f00:1]",
       "[2002:7f00:1::]", "localhost.", "LOCALHOST"]  # fmt: skip


@pytest.mark.parametrize("host", OWN)
async def test_an_open_setting_opens_neither_this_machine_nor_private_networks(
    gateway: Gateway, site: Site, host: str
) -> None:
    async with gateway(Policy(hosts=("*",))) as port:
        for sent in (connect(host, 80), get(f"http://{host}/")):
            said = await says(port, sent)
            assert said.startswith((b"HTTP/1.1 403", b"HTTP/1.1 502")), said
        assert (await says(port, connect(host, site.port))).startswith(b"HTTP/1.1 403")
    assert site.heads == []


NO_HOST = ["GET /", "CONNECT localhost", "\x05\x01\x00", "GET ftp://x/", "GET unix:/var/run/docker.sock",
           "CONNECT 127.1:80",
           "CONNECT 0x7f000001:80", "CONNECT 2130706433:80", "CONNECT 0177.0.0.1:80", "CONNECT a%00b:80"]  # fmt: skip


@pytest.mark.parametrize("asked", NO_HOST)
async def test_what_is_no_request_for_a_host_is_refused(gateway: Gateway, asked: str) -> None:
    async with gateway(Policy(hosts=("*",))) as port:
        said = await says(port, f"{asked} HTTP/1.1\r\n\r\n".encode())
        assert said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 403"))


async def test_a_host_that_is_not_listed_is_refused_with_what_to_do(gateway: Gateway) -> None:
    async with gateway(Policy(hosts=("packages.example.net", "*.example.org"))) as port:
        said = await says(port, connect("evil.example", 443))
    assert said.startswith(b"HTTP/1.1 403")
    assert b"egress_hosts" in said


async def test_without_a_gateway_the_agent_is_told_so(tmp_path: Path, gateway: Gateway) -> None:
    async with gateway(Policy()) as port:
        (tmp_path / "egress.sock").unlink()
        assert (await says(port, connect("packages.example.net", 443))).startswith(b"HTTP/1.1 503")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("packages.example.net", True), ("Packages.Example.net.", True), ("files.packages.example.net", False),
     ("a.example.org", True), ("a.b.example.org", True), ("example.org", False), ("xexample.org", False),
     ("packages.example.net.evil.example", False), ("8.8.8.8", False)],
)  # fmt: skip
def test_names_match_as_they_are_written(host: str, allowed: bool) -> None:
    policy = Policy(hosts=("packages.example.net", "*.example.org"))
    if allowed:
        assert policy.check_name(host, 443) == host.lower().rstrip(".")
        return
    with pytest.raises(Denied):
        policy.check_name(host, 443)


def test_a_public_name_with_an_address_of_this_machine_is_refused() -> None:
    policy = Policy(hosts=("*",), own=("93.184.216.34",))
    assert policy.check_address("a.example", "93.184.216.35", 443) == "93.184.216.35"
    forms = ("::ffff:93.184.216.34", "2002:5db8:d822::", "64:ff9b::5db8:d822")
    for address in ("93.184.216.34", "10.1.2.3", "::1", "fe80::1%eth0", *forms):
        with pytest.raises(Denied):
            policy.check_address("a.example", address, 443)


@pytest.mark.parametrize(
    "address",
    ["168.63.129.16", "169.254.169.254", "192.0.0.192", "100.100.100.200", "fd00:ec2::254", "fec0::1",
     "::ffff:169.254.169.254", "::ffff:0:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::"],
)  # fmt: skip
def test_what_clouds_tell_their_machines_is_told_to_no_agent(address: str) -> None:
    with pytest.raises(Denied):
        Policy(hosts=("*",)).check_address("a.example", address, 80)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "2002:101:101::", "64:ff9b::101:101"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a\nb", "-", "1.2.3", "0x7f.1", "a..0"])
def test_what_is_no_name_is_refused(host: str) -> None:
    with pytest.raises(Denied):
        plain(host)
