"""The network of a project on its server: its services reach each other, and nobody else's reach them.

Standard library only: servers import it.
"""

import hashlib
import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from activities.adapters.release import engine_socket as engine
from contracts.errors import ErrorCode, OrchestratorError

POOL = "10.200.0.0/14"
"""Where the ranges of networks are taken from: the engine's own have room for about thirty networks."""
LABEL = "orchestrator.project"
_PREFIX = 25
"""126 addresses: 20 services, each twice while a release switches, their candidates and migrations."""
_TRIES = 50
_CONFLICT = 409

Subnet = ipaddress.IPv4Network


def network_name(slug: str) -> str:
    return f"svc-{slug}"


async def ensure_network(slug: str) -> str:
    """Create or adopt the project's network; its name. It is gone after a prune while nothing of the project ran.

    Raises OrchestratorError CONFLICT for a network of that name that is not ours, PLAYBOOK_FAILED when no range is
    free.
    """
    name = network_name(slug)
    if (found := await engine.find(f"/networks/{name}")) is not None:
        return _ours(found, slug)
    taken = await _taken()
    for subnet in islice((one for one in ranges(slug) if not any(one.overlaps(other) for other in taken)), _TRIES):
        reply = await engine.try_call("POST", "/networks/create", _creation(name, slug, subnet))
        if reply.ok:
            return name
        if reply.status == _CONFLICT and (found := await engine.find(f"/networks/{name}")) is not None:
            return _ours(found, slug)
        if "overlap" not in reply.error:
            reason = f"The network of the project cannot be created: {reply.error}"
            raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason)
    raise OrchestratorError(
        ErrorCode.PLAYBOOK_FAILED,
        f"No address range of {POOL} is free for the network of the project on its server. Remove projects or Docker "
        "networks there, or routes that cover this range.",
    )


async def remove_network(slug: str) -> None:
    """Repeatable. One that something else is connected to stays; so does one that is not ours."""
    found = await engine.find(f"/networks/{network_name(slug)}")
    if found is not None and (found.get("Labels") or {}).get(LABEL) == slug:
        await engine.try_call("DELETE", f"/networks/{found['Id']}")


async def fixed_addresses(slug: str) -> list[str]:
    """The addresses of the network that the engine gives nobody by itself, without its own: a service keeps one over
    restarts."""
    found = await engine.find(f"/networks/{network_name(slug)}")
    if found is None:
        return []
    subnet = ipaddress.IPv4Network(found["IPAM"]["Config"][0]["Subnet"])
    return [str(address) for address in next(subnet.subnets()).hosts()][1:]


def ranges(slug: str) -> Iterator[Subnet]:
    """All of the pool, beginning where the name says: a network that is made again most likely has its old range."""
    subnets = list(ipaddress.IPv4Network(POOL).subnets(new_prefix=_PREFIX))
    first = int(hashlib.sha256(slug.encode()).hexdigest()[:8], 16) % len(subnets)
    yield from subnets[first:]
    yield from subnets[:first]


def _creation(name: str, slug: str, subnet: Subnet) -> dict[str, Any]:
    lower, upper = subnet.subnets()
    gateway = str(next(lower.hosts()))
    return {
        "Name": name,
        "CheckDuplicate": True,
        "Driver": "bridge",
        "Labels": {LABEL: slug},
        "IPAM": {"Config": [{"Subnet": str(subnet), "IPRange": str(upper), "Gateway": gateway}]},
    }


def _ours(found: dict[str, Any], slug: str) -> str:
    name = str(found["Name"])
    if (found.get("Labels") or {}).get(LABEL) != slug:
        reason = f"A Docker network named {name} exists on the server, but the platform did not create it. Remove it."
        raise OrchestratorError(ErrorCode.CONFLICT, reason)
    return name


async def _taken() -> list[Subnet]:
    """What is somebody else's: networks of the engine, routes of the server, and where its name servers are."""
    found = [
        ipaddress.IPv4Network(config["Subnet"])
        for network in await engine.call("GET", "/networks")
        for config in (network.get("IPAM") or {}).get("Config") or []
        if ":" not in config.get("Subnet", ":")
    ]
    return found + list(routes_in(_text("/proc/net/route"))) + list(name_servers_in(_text("/etc/resolv.conf")))


def routes_in(table: str) -> Iterator[Subnet]:
    """Of the kernel's table of routes, all but the default one."""
    for line in table.splitlines()[1:]:
        with suppress(ValueError, IndexError):
            address, mask = (int.from_bytes(bytes.fromhex(line.split()[at])[::-1]) for at in (1, 7))
            if mask:
                yield ipaddress.IPv4Network((address & mask, mask.bit_count()))


def name_servers_in(resolv: str) -> Iterator[Subnet]:
    for line in resolv.splitlines():
        with suppress(ValueError, IndexError):
            if line.split()[0] == "nameserver":
                yield ipaddress.IPv4Network(line.split()[1])


def _text(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""
