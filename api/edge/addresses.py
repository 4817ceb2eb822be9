"""From where a request comes: behind a trusted proxy its caller, otherwise whoever has connected."""

import hmac
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

from runtime.settings import Settings

SECRET_HEADER = "X-Orchestrator-Proxy-Secret"
UNKNOWN = "unknown"
_IPV6_PREFIX = 64
"""One customer of an internet provider gets so much, and can send from each address of it."""

Address = IPv4Address | IPv6Address


def client_address(scope: Scope, settings: Settings) -> str:
    """The caller's address for records and limits; of IPv6 its network."""
    address = _peer(scope)
    if address is not None and is_trusted_proxy(scope, settings):
        # The last one: it is what the proxy itself has seen, and those before are what the caller says.
        forwarded = Headers(scope=scope).getlist("x-forwarded-for")
        address = _parsed(forwarded[-1].rpartition(",")[2].strip()) or address if forwarded else address
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address) if address is not None else UNKNOWN


def is_trusted_proxy(scope: Scope, settings: Settings) -> bool:
    """Whether the connection is a proxy's whom the settings trust; where they ask for a secret, it has to send it."""
    address = _peer(scope)
    if address is None or not any(address in network for network in settings.trusted_proxies):
        return False
    secret = settings.proxy_secret.get_secret_value() if settings.proxy_secret else ""
    # Compared as bytes: the header may hold characters beyond ASCII.
    sent = Headers(scope=scope).get(SECRET_HEADER, "")
    return not secret or hmac.compare_digest(secret.encode(), sent.encode())


def own_origins(settings: Settings) -> set[str]:
    """The origins of pages that this API serves."""
    hosts = {settings.api_host, "127.0.0.1", "localhost"}
    return {settings.site_url, *(f"http://{host}:{settings.api_port}" for host in hosts)}


def session_cookie(settings: Settings) -> str:
    """The name of the cookie of a login.

    Browsers send cookies to every port of a host; the name keeps two installations on one host apart.
    """
    return f"orchestrator_ui_{settings.api_port}"


def _peer(scope: Scope) -> Address | None:
    client = scope.get("client")
    return None if client is None else _parsed(client[0])


def _parsed(text: str) -> Address | None:
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
