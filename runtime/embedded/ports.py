"""TCP ports of this host."""

import socket


def is_free(port: int) -> bool:
    """Whether a server could listen on this port on loopback."""
    with socket.socket() as probe:
        # As servers themselves do: connections of a predecessor that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def can_listen(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    v6 = ":" in host
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if v6 else socket.AF_INET, dualstack_ipv6=v6).close()
    except (OSError, ValueError):  # the last without IPv6
        return False
    return True


def any_free() -> int:
    """A loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
