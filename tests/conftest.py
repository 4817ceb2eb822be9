"""Rules and fixtures of every suite: in CI a skipped test is a failure, and properties draw the same every time.

Seeds, the profile of the properties and the cache size come from outside.
"""

import os
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.support.patience import patience

# A busy machine is no failure, and a database of earlier examples would make a run depend on the one before it.
_PROPERTIES = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "database": None, "print_blob": True}
settings.register_profile("gate", derandomize=True, **_PROPERTIES)
# What it draws is new under each `--hypothesis-seed`.
settings.register_profile("deep", derandomize=False, max_examples=2_000, **_PROPERTIES)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

# Whoever has a real key in their shell pays for `make test-live`, and for nothing that these suites start.
_OF_MODELS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL")
for _name in (name for name in tuple(os.environ) if name.upper().removeprefix("ORCHESTRATOR_").startswith(_OF_MODELS)):
    del os.environ[_name]

_ON_A_PLATFORM = [Path(__file__).with_name(name) for name in ("chaos", "chat", "e2e")]
_IN_CI = os.environ.get("CI", "").lower() in {"true", "1"}


class SkippedIsFailed:
    """A test that is skipped where it matters proves nothing: under CI=true the session fails and says which."""

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.skipped and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.skipped:
            terminalreporter.section("skipped under CI=true, which is a failure", red=True)
            for nodeid in self.skipped:
                terminalreporter.line(nodeid)


def pytest_configure(config: pytest.Config) -> None:
    # structlog's own default draws tracebacks with all local variables, which takes seconds for each.
    plain = [structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer(key_order=["event"])]
    structlog.configure(processors=plain)
    # With xdist only the controller sees every report; its workers keep their own exit status.
    if _IN_CI and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkippedIsFailed(), "skipped-is-failed")
    # Its imports take seconds, and the cheap suites have no use for them.
    asked = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    if any(one.is_relative_to(place) or place.is_relative_to(one) for one in asked for place in _ON_A_PLATFORM):
        config.pluginmanager.import_plugin("tests.support.platform")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The time limit of a test, its own or the common one, is for a quiet machine."""
    if not config.pluginmanager.has_plugin("timeout"):
        return
    common = float(config.getini("timeout") or 0)
    for item in items:
        marker = item.get_closest_marker("timeout")
        limit = float(marker.args[0]) if marker else common
        item.add_marker(pytest.mark.timeout(patience(limit)), append=False)


@pytest.fixture(scope="session")
def chaos_seed() -> int:
    """Seed of this round's fault schedule: `make soak` gives every round another one."""
    return int(os.environ.get("CHAOS_SEED", "1"))


@pytest.fixture(scope="session")
def max_cached_workflows() -> int:
    """Workflow cache of the Temporal workers under test; 0 makes every workflow task a replay."""
    return int(os.environ.get("TEST_WORKFLOW_CACHE", "1000"))
