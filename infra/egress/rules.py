"""Where an agent may go: names by the project's list, addresses by what they are.

Standard library only: it runs in the worker image.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass

ANYWHERE = "*"
"""In the list of hosts: the whole public internet."""
_PORTS = frozenset({22, 80, 443, 9418})
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_CLOSED = tuple(
    ipaddress.ip_network(one)
    for one in (
        "168.63.129.16/32",  # Azure gives secrets of a machine to itself here
        "192.0.0.0/24",  # 192.0.0.192 is Oracle's link-local address
        "192.88.99.0/24",
        "::ffff:0:0:0/96",  # an IPv4 address in its last bits
        "64:ff9b:1::/48",  # the same, as a network chooses it
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)
"""Not of the public internet, although the library's table of some version says so."""


class Denied(Exception):
    """Its text is for the agent: it says what to do."""


@dataclass(frozen=True)
class Policy:
    """`hosts`: names, `*.name` for all below one, or `*`. `own`: addresses of the platform's machine, never reachable.

    `gateway`: `host:port` of what the platform itself offers to agents, the one exception from the rule of addresses.
    """

    hosts: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    gateway: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Policy:
        return cls(**{key: tuple(value) for key, value in json.loads(text).items()})

    def written(self) -> str:
        return json.dumps({"hosts": self.hosts, "own": self.own, "gateway": self.gateway})

    def check_name(self, host: str, port: int) -> str:
        """The plain form of a host that may be asked for. Raises Denied."""
        name = plain(host)
        if f"{name}:{port}" in self.gateway:
            return name
        if port not in _PORTS:
            raise Denied(f"Port {port} is not open to agents.")
        if not any(_matches(name, one) for one in self.hosts):
            raise Denied(
                f"{name} is not among the project's egress_hosts. An owner can add it: `orchestrator settings set`."
            )
        return name

    def check_address(self, name: str, address: str, port: int) -> str:
        """The address of a name, if it is one of the public internet. Raises Denied."""
        if f"{name}:{port}" in self.gateway:
            return address
        if _own_forms(address) & {plain(one) for one in self.own} or not is_public(address):
            raise Denied(f"{name} is an address of this machine, or of a private network.")
        return address


def plain(host: str) -> str:
    """A name or an address as the rules know it. Raises Denied for what is none."""
    name = host.lower().removesuffix(".")
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    # A last part of digits, or of a form that C reads as a number, would be an address in disguise.
    if not _NAME.fullmatch(name) or re.fullmatch(r"\d+|0x[0-9a-f]*", name.rpartition(".")[2]):
        raise Denied("This is not the name of a host.")
    return name


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet, also where it carries another one inside."""
    known = ipaddress.ip_address(address.partition("%")[0])
    if any(known in network for network in _CLOSED):
        return False
    if isinstance(known, ipaddress.IPv6Address):
        inside = _inside(known)
        if inside is not None and not is_public(str(inside)):
            return False
        if known.ipv4_mapped is not None:
            return True
        if int(known) < 1 << 32:
            return False
    return known.is_global and not known.is_multicast


def _inside(known: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to."""
    if known in _NAT64:
        return ipaddress.IPv4Address(int(known) & 0xFFFFFFFF)
    return known.ipv4_mapped or known.sixtofour or (known.teredo[1] if known.teredo else None)


def _own_forms(address: str) -> set[str]:
    """An address as it is written, and as what it leads to: `::ffff:` reaches this machine's IPv4 address, too."""
    known = ipaddress.ip_address(address.partition("%")[0])
    inside = _inside(known) if isinstance(known, ipaddress.IPv6Address) else None
    return {str(known), *([str(inside)] if inside is not None else [])}


def _matches(name: str, wanted: str) -> bool:
    wanted = wanted.lower().removesuffix(".")
    if wanted == ANYWHERE:
        return True
    if wanted.startswith("*."):
        return name.endswith(wanted[1:]) and len(name) > len(wanted) - 1
    return name == wanted
