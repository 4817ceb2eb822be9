"""Trees of files that an untrusted program has made. Standard library only: servers import it."""

import subprocess
from pathlib import Path


def remove_tree(root: Path) -> None:
    """Remove a directory, however deep it is; what cannot be removed stays. Blocks.

    By a program of its own: Python's goes down by recursion, and keeps a directory open for each level.
    """
    quiet = subprocess.DEVNULL
    subprocess.run(["rm", "-rf", "--", str(root)], stdin=quiet, stdout=quiet, stderr=quiet, check=False)
