"""The real program of the Temporal workers as a spare: it loads all, touches nothing, and ends with its holder."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.stack import ROOT


def test_spare_workers_touch_nothing_and_end_with_the_pipe(tmp_path: Path) -> None:
    """Not even settings are read: they are wrong here, and only who works would say so."""
    home = tmp_path / "home"
    environment = {**os.environ, "ORCHESTRATOR_HOME": str(home), "ORCHESTRATOR_API_PORT": "none"}
    command = [sys.executable, "-m", "workers", "--spare"]

    waits = subprocess.run(
        command, env=environment, cwd=ROOT, input="", capture_output=True, text=True, timeout=60, check=False
    )
    begins = subprocess.run(
        command, env=environment, cwd=ROOT, input="begin\n", capture_output=True, text=True, timeout=60, check=False
    )

    assert (waits.returncode, waits.stderr, home.exists()) == (0, "", False)
    assert begins.returncode == 1
    assert "ORCHESTRATOR_API_PORT" in begins.stderr
