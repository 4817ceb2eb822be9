"""Which worker of xdist runs a test: a suite's tests that share something expensive stay together.

`--dist loadgroup` does not group with pytest 9, which keeps the ids of tests elsewhere than xdist writes its groups to.
"""

from collections.abc import Callable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling


def grouped(config: pytest.Config, log: Any, group_of: Callable[[str], str]) -> LoadScopeScheduling:
    """For `pytest_xdist_make_scheduler`: tests whose ids give the same group go to one worker, in their order."""

    class Grouped(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Grouped(config, log)


def file_of(nodeid: str) -> str:
    """`test_x.py` of `tests/suite/test_x.py::test_y[z]`."""
    return nodeid.partition("::")[0].rpartition("/")[2]
