"""pytest plugin (`-p tests.gate.times`): reports a red test immediately and writes how long each took."""

import json
import os
import sys
from collections import defaultdict
from pathlib import Path

import pytest

FILE = "GATE_TIMES"


class Times:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration
        if report.failed:
            # pytest reports the error at the end, which may be minutes later.
            sys.stderr.write(f"\nRED: {report.nodeid} ({report.when})\n")

    def pytest_sessionfinish(self) -> None:
        self._file.write_text(json.dumps(self._seconds))


def pytest_configure(config: pytest.Config) -> None:
    # With xdist the controller sees every report.
    if FILE in os.environ and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Times(Path(os.environ[FILE])), "gate-times")
