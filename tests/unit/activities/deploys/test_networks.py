"""The range of a project's network: what is somebody else's is left out, and what nobody can have is said."""

import ipaddress
from typing import Any

import pytest

from activities.adapters.release import engine_socket, networks
from activities.adapters.release.engine_socket import Answer
from contracts.errors import ErrorCode, OrchestratorError

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100D50A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000C80A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
RESOLV = "# of the cloud\nnameserver 10.203.0.2\nnameserver fe80::1\noptions edns0\n"


class Engine:
    """An engine with some networks, which refuses ranges for a reason of its own."""

    def __init__(self, known: dict[str, dict[str, Any]], refusal: str = "") -> None:
        self.known, self.refusal, self.asked = known, refusal, 0

    async def find(self, path: str) -> dict[str, Any] | None:
        return self.known.get(path.rpartition("/")[2])

    async def call(self, _method: str, _path: str) -> list[dict[str, Any]]:
        return list(self.known.values())

    async def try_call(self, _method: str, _path: str, body: dict[str, Any]) -> Answer:
        self.asked += 1
        if self.refusal:
            return Answer(403, {"message": self.refusal})
        self.known[body["Name"]] = body
        return Answer(201, {})


def use(monkeypatch: pytest.MonkeyPatch, engine: Engine, routes: str = ROUTES) -> Engine:
    for name in ("find", "call", "try_call"):
        monkeypatch.setattr(engine_socket, name, getattr(engine, name))
    monkeypatch.setattr(networks, "_text", {"/proc/net/route": routes, "/etc/resolv.conf": RESOLV}.__getitem__)
    return engine


def range_of(engine: Engine, slug: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(engine.known[f"svc-{slug}"]["IPAM"]["Config"][0]["Subnet"])


def test_routes_and_name_servers_of_the_server_are_read() -> None:
    assert [str(one) for one in networks.routes_in(ROUTES)] == ["10.200.0.0/24"]
    assert [str(one) for one in networks.name_servers_in(RESOLV)] == ["10.203.0.2/32"]


async def test_two_projects_have_different_ranges_and_one_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = use(monkeypatch, Engine({}))
    for slug in ("blog", "shop"):
        assert await networks.ensure_network(slug) == f"svc-{slug}"
    assert not range_of(engine, "blog").overlaps(range_of(engine, "shop"))
    before = range_of(engine, "blog")
    del engine.known["svc-blog"]
    await networks.ensure_network("blog")
    assert range_of(engine, "blog") == before, "a network that was pruned is made as it was"
    assert await networks.ensure_network("blog") == "svc-blog"
    assert engine.asked == 3, "one that is there is adopted"


async def test_what_the_server_uses_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    first = next(networks.ranges("blog"))
    taken = {"other": {"Name": "other", "IPAM": {"Config": [{"Subnet": str(first)}, {"Subnet": "fd00::/64"}]}}}
    engine = use(monkeypatch, Engine(taken | {"host": {"Name": "host", "IPAM": {"Config": None}}}))
    await networks.ensure_network("blog")
    assert not range_of(engine, "blog").overlaps(first)


async def test_no_free_range_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ROUTES.replace("0000C80A", "0000000A").replace("00FFFFFF", "000000FF")
    use(monkeypatch, Engine({}), whole)
    with pytest.raises(OrchestratorError, match="No address range") as failed:
        await networks.ensure_network("blog")
    assert (failed.value.code, failed.value.retryable) == (ErrorCode.PLAYBOOK_FAILED, False)
    engine = use(monkeypatch, Engine({}, "Pool overlaps with other one on this address space"))
    with pytest.raises(OrchestratorError, match="No address range"):
        await networks.ensure_network("blog")
    assert engine.asked == networks._TRIES, "not all two thousand"


async def test_a_network_of_that_name_that_is_not_ours_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = use(monkeypatch, Engine({"svc-blog": {"Id": "1", "Name": "svc-blog", "Labels": None}}))
    with pytest.raises(OrchestratorError, match="did not create it"):
        await networks.ensure_network("blog")
    await networks.remove_network("blog")
    assert engine.asked == 0


async def test_a_fixed_address_is_none_that_the_engine_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = use(monkeypatch, Engine({}))
    await networks.ensure_network("blog")
    [config] = engine.known["svc-blog"]["IPAM"]["Config"]
    fixed = await networks.fixed_addresses("blog")
    assert len(fixed) >= 40, "twenty services, each twice while they switch"
    assert config["Gateway"] not in fixed
    assert not any(ipaddress.IPv4Address(one) in ipaddress.IPv4Network(config["IPRange"]) for one in fixed)
