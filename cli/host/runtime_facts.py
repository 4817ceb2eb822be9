"""How work runs here, in words: whether it is held apart from the platform, and for whom that is enough."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cli.host.parts import Parts
from runtime import other_users, process_mode
from runtime.settings import Settings

MOVE = (
    "give the platform a Python that every user may start (such as /usr/bin/python3 with a virtual environment below "
    "/opt) and an ORCHESTRATOR_HOME outside of private directories, or run it as an ordinary user"
)


def runtime_facts(parts: Parts) -> list[tuple[str, object]]:
    """Labelled sentences for `up` and `status`."""
    report = parts.runtime_report
    facts: list[tuple[str, object]] = [("Runtime", parts.runtime)]
    if process_mode.is_for_one(parts.settings):
        facts.append(("", process_mode.ONE_PERSON))
    if report is not None and report.warning is not None:
        facts.append(("", f"{report.warning}; {MOVE}"))
    return facts


def root_obstacle(settings: Settings) -> str | None:
    """Why processes of agents, tests and services would run as root if they started now; None if they would not."""
    if os.geteuid() != 0:
        return None
    return other_users.obstacle([settings.home], Path(sys.executable))
