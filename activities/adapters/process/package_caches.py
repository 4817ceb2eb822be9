"""The packages of a project as an environment of this machine, shared by all that have the same requirements.

The platform builds it (wheels only, plain names only), in a run of its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import activities
from activities.adapters.packages.pip_settings import INSTALLER_VARIABLES
from activities.adapters.runs.follower import LineFollower
from activities.adapters.runs.supervisor import BEHIND_THE_PLATFORM, SupervisedCommand, Supervisor
from activities.adapters.verification.steps import MAX_LOG, SETUP_TIMEOUT_S, beats_only, setup_failure, tests_stopped
from activities.ports import Follow

_SOURCE_ROOT = Path(activities.__file__).resolve().parent.parent
_PASSED_ON = (*INSTALLER_VARIABLES, "HOME")


class PackageCaches:
    """Environments below `<caches_dir>/venvs`, for the interpreter `python`."""

    def __init__(self, supervisor: Supervisor, caches_dir: Path, python: str = sys.executable) -> None:
        self._supervisor = supervisor
        self.directory = caches_dir / "venvs"
        self._python = python

    async def ready(self, run: str, files: list[Path], cwd: Path, follow: Follow) -> Path:
        """The environment, built once for all that want the same, by the run of that name.

        Raises `Refused` for packages that cannot be installed, PROCESS_FAILED (transient) when they cannot be had,
        STOPPED_BY_PERSON.
        """
        argv = [
            sys.executable, "-m", "activities.adapters.packages.venv_cache",
            "--cache", str(self.directory), "--python", self._python, *map(str, files),
        ]  # fmt: skip
        known = {key: value for key, value in os.environ.items() if key.upper().startswith(_PASSED_ON)}
        known |= {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(_SOURCE_ROOT), "LANG": "C.UTF-8"}
        command = SupervisedCommand(run, argv, cwd, known, SETUP_TIMEOUT_S, niceness=BEHIND_THE_PLATFORM)
        await self._supervisor.start(command)
        status, _ = await LineFollower(self._supervisor, beats_only(follow), run, "", "").follow(run, lambda _: [])
        output = self._supervisor.read_output(run, 0, MAX_LOG)[0].decode(errors="replace")
        if status.stopped:
            raise tests_stopped()
        self._supervisor.remove(run)
        if status.state == "exited" and status.exit_code == 0:
            return Path(output.strip().splitlines()[-1])
        raise setup_failure(status, output)
