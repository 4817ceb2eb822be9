"""Whether packages were missing because of the machine or the network, in the words of uv and of pip."""

import re

_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_NO_REGISTRY = re.compile(
    r"No matching distribution found|Max retries exceeded|Temporary failure in name resolution|"
    r"NewConnectionError|ReadTimeoutError|Connection (?:refused|reset)|network is unreachable|"
    r"Could not install packages due to an (?:OSError|EnvironmentError)|"
    r"Failed to (?:fetch|download)|error sending request|was not found in the package registry",
    re.IGNORECASE,
)
_OTHER_VERSIONS = re.compile(r"\(from versions: (?!none\))[^)]+\)")
"""The registry answered and has other versions: the requirement is wrong, not the network."""


def registry_trouble(output: str) -> bool:
    """Whether the machine or the network is why packages were not installed, and not their names."""
    return disk_is_full(output) or bool(_NO_REGISTRY.search(output) and not _OTHER_VERSIONS.search(output))


def disk_is_full(output: str) -> bool:
    """Whether a program said so."""
    return bool(_DISK_FULL.search(output))
