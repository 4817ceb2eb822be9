"""Servers in containers of this machine: how they are named and found, for all who look at them from outside."""

import hashlib
from pathlib import Path
from typing import Final

LABEL: Final = "codegen-orchestrator.server"
"""Its value is the server's handle."""


def container_name(home: Path, handle: str) -> str:
    """The name of a server's container: two installations on one machine have servers of their own."""
    return f"orchestrator-server-{handle}-{hashlib.sha256(str(home).encode()).hexdigest()[:8]}"
