"""pytest plugin (`-p tests.support.lanes`): tests with whole platforms, in two lanes side by side.

One lane has the platform that suites share, in the order of collection; the other has what brings up its own, and
begins with secrets in the chat. Much of the time of both is waiting. A lane's tests stay in one process.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.scheduling import file_of, grouped

_OWN = frozenset(
    {
        "test_agent_kills.py",
        "test_agent_stories.py",
        "test_agent_turns.py",
        "test_backup_and_restore.py",
        "test_backup_in_containers.py",
        "test_compose_stack.py",
        "test_faults.py",
        "test_live_run.py",
        "test_never_stuck.py",
        "test_process_kills.py",
        "test_secrets.py",
        "test_secrets_proof.py",
        "test_telemetry.py",
        "test_web_ui.py",
        "test_without_an_engine.py",
    }
)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Lanes begin in the order of collection (`--no-loadscope-reorder`)."""
    return grouped(config, log, lambda nodeid: "own" if file_of(nodeid) in _OWN else "shared")
