"""Containers that an interrupted build leaves behind. Standard library only: it runs on servers, too.

An engine builds each step in a container and removes that itself; one that is killed meanwhile never does. Such a
container has a random name and no label. What a build may choose for its containers is the size of their /dev/shm:
that is the mark of who builds.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

_USUAL = 64 * 1024 * 1024
"""What every other container has."""


def shm_size(builder: str) -> int:
    """Bytes of /dev/shm in the containers of whoever builds under this name, a little more than is usual."""
    return _USUAL + 1 + int.from_bytes(hashlib.sha256(builder.encode()).digest()[:3])


def was_left_by(builder: str, container: Mapping[str, Any]) -> bool:
    """Whether a container, as the engine describes it, is a step of this builder's; asked while it builds nothing."""
    return bool(container["HostConfig"]["ShmSize"] == shm_size(builder))
