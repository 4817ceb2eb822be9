"""Work as processes of this machine is for one trusted person: what needs containers, and how that is said.

Processes share the machine's files, processor and network with the platform. Where the platform cannot give them users
of their own, they can read its keys. Containers hold people and agents apart; processes do not.
"""

from __future__ import annotations

from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import AgentKind
from runtime.runtime_report import RuntimeReport
from runtime.settings import Settings

VARIABLE = "ORCHESTRATOR_TRUST_PROCESSES"
ONE_PERSON = "processes are for one trusted person: what is built and deployed here can reach this machine"
_DOCKER = "`DOCKER=install make demo` (or `make docker`) installs it on Debian, as root"


def is_for_one(settings: Settings) -> bool:
    """Whether agents, tests or services run as processes, and the operator has not said that all may share them."""
    if settings.trust_processes:
        return False
    report = RuntimeReport.read(settings.runtime_report_file)
    return settings.runtime == "process" or (report is not None and "processes" in {report.work, report.services})


def refuse_others(settings: Settings, *user_ids: int) -> None:
    """Raises CONTAINERS_NEEDED if one of these people is not the operator, and work runs as processes."""
    if set(user_ids) - {settings.admin_user_id} and is_for_one(settings):
        raise _refused("Work runs as processes of this machine, which are for one trusted person: its operator.")


def agents_are_processes(settings: Settings) -> bool:
    report = RuntimeReport.read(settings.runtime_report_file)
    return settings.runtime == "process" or (report is not None and report.work == "processes")


def refuse_model(settings: Settings, agent: AgentKind) -> None:
    """Raises CONTAINERS_NEEDED if agents run as processes and a model drives this one: its programs are in images, and
    nobody knows beforehand which commands it runs."""
    if agent is not AgentKind.SCRIPTED and agents_are_processes(settings):
        raise model_refused(agent)


def model_refused(agent: AgentKind) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.CONTAINERS_NEEDED,
        f"The agent {agent.value} follows a model and works in containers only, and here work runs as processes: no "
        "Docker Engine answers (or answered when the platform began), or ORCHESTRATOR_RUNTIME=process asks for that. "
        f"Set up Docker: {_DOCKER}. If the platform runs, `orchestrator down` before it begins again. Without Docker "
        "only the scripted agent works (ORCHESTRATOR_AGENT=scripted, `--agent scripted`).",
    )


def _refused(why: str) -> OrchestratorError:
    advice = f"Set up Docker: {_DOCKER}; or set {VARIABLE}=true if everybody may use this machine."
    return OrchestratorError(ErrorCode.CONTAINERS_NEEDED, f"{why} {advice}")
