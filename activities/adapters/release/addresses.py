"""Public addresses of services. Standard library only: servers import it."""

import socket


def can_listen(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    v6 = ":" in host
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if v6 else socket.AF_INET, dualstack_ipv6=v6).close()
    except (OSError, ValueError):  # the last without IPv6
        return False
    return True


def foreign_port(port: int, service: str) -> str:
    """What a person is told about a port that something else holds."""
    return (
        f"Port {port} of {service} is taken by a program that is not part of this project; stop that program and "
        "deploy again."
    )
