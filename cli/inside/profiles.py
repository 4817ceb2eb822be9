"""Which commands a turn has, by the work that it does."""

import os
from collections.abc import Mapping

VARIABLE = "ORCHESTRATOR_PROFILE"
ASK = 'ask "QUESTION" [--choice ANSWER …]'
REPORT = 'report --done|--failed "SUMMARY" [--file PATH …] [--built CLAUSE …] [--left-out CLAUSE …]'
_SHORT_REPORT = 'report --done|--failed "SUMMARY"'
COMMANDS: Mapping[str, Mapping[str, str]] = {
    "developer": {"ask": ASK, "report": REPORT},
    "product-owner": {"ask": ASK, "report": _SHORT_REPORT},
    "devops": {"ask": ASK, "report": _SHORT_REPORT},
}


def current() -> str:
    """The profile of this turn; one that is not known has the commands of a developer."""
    named = os.environ.get(VARIABLE, "")
    return named if named in COMMANDS else "developer"


def changes_code() -> bool:
    """Whether this turn has files and clauses to report."""
    return COMMANDS[current()]["report"] == REPORT


def allowed() -> str:
    """What may be called, for a person or an agent to read."""
    lines = "".join(f"  orchestrator {usage}\n" for usage in COMMANDS[current()].values())
    return f"Inside a turn ({current()}) these commands are available:\n{lines}"
