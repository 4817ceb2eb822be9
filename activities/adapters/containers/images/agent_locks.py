"""`python -m activities.adapters.containers.images.agent_locks`: resolves the packages of the agents' programs again.

A lock has the exact version and the hash of every package, those that an agent depends on among them, and no address:
the packages come from whatever registry this machine uses. Made on x86-64, whose platform packages it has.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from activities.adapters.containers.images.agent_programs import AGENT_PROGRAMS, AgentProgram, manifest

_NPM = (
    "npm", "install", "--package-lock-only", "--ignore-scripts", "--omit-lockfile-registry-resolved", "--no-audit",
    "--no-fund", "--loglevel", "error",
)  # fmt: skip
_UNNEEDED = ("funding", "license", "deprecated")
"""Not read by npm; some name hosts."""


def resolved(program: AgentProgram) -> str:
    """Its lock, as npm resolves it now."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "package.json").write_bytes(manifest(program))
        subprocess.run(_NPM, cwd=directory, check=True)
        found: dict[str, Any] = json.loads((Path(directory) / "package-lock.json").read_text())
    # npm names it after the folder.
    found.pop("name", None)
    for package in found["packages"].values():
        for name in _UNNEEDED:
            package.pop(name, None)
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def main(locks: Path) -> None:
    """Write the lock of each agent."""
    for kind, program in AGENT_PROGRAMS.items():
        (locks / f"{kind.value}.json").write_text(resolved(program))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
