"""pytest plugin (`-p tests.support.lanes`): suites that each start whole platforms, side by side.

Much of their time is waiting, so two at once take little longer than one. A suite's tests share its platform and
stay in one process and in their order; what starts a platform of its own is a lane of its own.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.scheduling import file_of, grouped

_WITH_A_PLATFORM_OF_ITS_OWN = ("test_never_stuck.py", "test_telemetry.py")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Lanes begin in the order of collection (`--no-loadscope-reorder`)."""
    return grouped(config, log, _lane)


def _lane(nodeid: str) -> str:
    file = file_of(nodeid)
    return file if file in _WITH_A_PLATFORM_OF_ITS_OWN else nodeid.partition("::")[0].rpartition("/")[0]
