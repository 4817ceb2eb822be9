"""The message with which the workflow of a person's own agent worker starts."""

from api.auth import Caller
from api.problems import permanent
from api.tables import ProjectRow
from contracts import agent_capabilities, ids
from contracts.agent_logins import login_of
from contracts.agent_workers import AgentWorkerRun, WorkerConfig
from contracts.errors import ErrorCode
from contracts.project_settings import ProjectSettings
from contracts.states import AgentKind
from contracts.worker_nouns import WorkerCreate
from runtime.settings import Settings


def run(
    body: WorkerCreate, caller: Caller, project: ProjectRow | None, settings: Settings, chosen: ProjectSettings
) -> AgentWorkerRun:
    """`chosen` counts where the request says nothing. Raises NOT_ALLOWED for a log-in where none may be used, and
    INVALID_INPUT for a capability that is not known.
    """
    agent = body.agent or chosen.agent
    if (problem := agent_capabilities.unknown(body.capabilities)) is not None:
        raise permanent(ErrorCode.INVALID_INPUT, problem)
    if body.mount_session_volume:
        _check_login(agent, settings)
    return AgentWorkerRun(
        request_id=f"{body.worker_id}/create",
        worker_id=body.worker_id,
        actor=caller.actor,
        user_id=caller.user_id,
        is_shown=True,
        takes_up=project is not None,
        idle_expiry_s=body.idle_expiry_s or settings.agent_worker_idle_s,
        login_volume=ids.login_volume(caller.user_id, agent) if body.mount_session_volume else None,
        config=WorkerConfig(
            name=body.name[:100],
            agent=agent,
            capabilities=body.capabilities,
            mount_session_volume=body.mount_session_volume,
            profile=body.profile,
        ),
        context=_context(body, caller, project),
    )


def _context(body: WorkerCreate, caller: Caller, project: ProjectRow | None) -> dict[str, str]:
    known = {"user_id": str(caller.user_id)}
    if project is not None:
        known |= {
            "project_id": project.id,
            "repository": project.repository,
            "branch": ids.work_branch(body.worker_id),
        }
    return known


def _check_login(agent: AgentKind, settings: Settings) -> None:
    if not settings.agent_logins:
        raise permanent(
            ErrorCode.NOT_ALLOWED,
            "Agents may not use a person's own log-in here. The operator can allow it with "
            "ORCHESTRATOR_AGENT_LOGINS=true, after reading what the agent's vendor allows.",
        )
    if settings.stack == "compose":
        raise permanent(ErrorCode.NOT_ALLOWED, "With Compose agents have no log-in of a person: no terminal makes one.")
    login_of(agent)
