"""pytest plugin (`-p tests.support.lanes`): suites that each start whole platforms, side by side.

Much of their time is waiting, so two at once take little longer than one. A suite's tests share its platform and
stay in one process and in their order. tests/e2e has lanes of its own.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.scheduling import grouped


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Lanes begin in the order of collection (`--no-loadscope-reorder`)."""
    return grouped(config, log, _lane)


def _lane(nodeid: str) -> str:
    return nodeid.partition("::")[0].rpartition("/")[0]
