"""Whether this process can start programs as another user, found out by doing it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_NOBODY = 65_534
_TRIAL_S = 10.0


def obstacle(reachable: Iterable[Path], interpreter: Path) -> str | None:
    """Why programs of `interpreter` cannot run as other users who need `reachable`; None when they can.

    Directories may change and are looked at each time; the interpreter is started as another user once.
    """
    if os.geteuid() != 0:
        return "the platform does not run as root, so all work shares its user"
    needed = [interpreter, *reachable]
    if interpreter == Path(sys.executable):
        needed.append(Path(sysconfig.get_path("stdlib")))
    for path in needed:
        blocked = blocked_at(path)
        if blocked is not None:
            return f"an unprivileged user cannot reach {blocked}, so work runs as root"
    return _trial(interpreter)


def blocked_at(path: Path) -> Path | None:
    """The first part of `path` (links followed) that others may not enter or read; None when they may.

    What does not exist yet is judged by the directory that it will be made in.
    """
    for variant in {Path(os.path.abspath(path)), Path(os.path.realpath(path))}:
        for part in [*reversed(variant.parents), variant]:
            try:
                mode = part.stat().st_mode
            except OSError:
                break
            needed = stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
            if not mode & needed:
                return part
    return None


@cache
def _trial(interpreter: Path) -> str | None:
    """Modes do not tell all: a container may have no right to change users, a mount may forbid programs."""
    try:
        done = subprocess.run(
            [interpreter, "-I", "-c", "import os; assert os.geteuid() != 0"],
            user=_NOBODY, group=_NOBODY, extra_groups=[], env={}, cwd="/", check=False,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_TRIAL_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        # A busy machine is no reason to work as root.
        return None
    except (OSError, subprocess.SubprocessError) as error:
        return f"{interpreter} cannot be started as another user ({error}), so work runs as root"
    if done.returncode != 0:
        said = done.stderr.strip().rpartition("\n")[2][:200] or f"exit code {done.returncode}"
        return f"{interpreter} does not run as another user ({said}), so work runs as root"
    return None
