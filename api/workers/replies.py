"""Agent workers as the API shows them."""

from api.gateway import GatewayLink
from api.tables import ProjectRow
from api.worker_tables import AgentWorkerRow
from contracts import ids
from contracts.agent_workers import AgentWorkerRun
from contracts.base import utc_now
from contracts.states import AgentWorkerState
from contracts.worker_nouns import AgentWorkerDTO
from contracts.worker_steps import AgentWorkerProjection, OpenWorker
from runtime.settings import GIT_PATH, LOCAL_FORGE, Settings
from runtime.temporal.agent_workers import RunningTurn

_HIDDEN = {"seq", "run_id"}


def worker(row: AgentWorkerRow, gateway: GatewayLink) -> AgentWorkerDTO:
    workflow_id = ids.agent_worker_workflow_id(row.id)
    links = {"workflow_id": workflow_id, "web_url": gateway.web_url(workflow_id, row.run_id or None)}
    return AgentWorkerDTO.model_validate(row.model_dump(exclude=_HIDDEN) | links)


def open_worker(row: AgentWorkerRow) -> OpenWorker:
    known = row.model_dump(include=set(AgentWorkerProjection.model_fields))
    return OpenWorker.model_validate({"told": known | {"worker_id": row.id}, "updated_at": row.updated_at})


def lost(shown: AgentWorkerDTO) -> AgentWorkerDTO:
    """An agent worker whose workflow has ended without having said so."""
    note = "Its workflow has ended without a word. What was pushed to its branch is there; create another one."
    return shown.model_copy(update={"state": AgentWorkerState.LOST, "note": note, "current_request": None})


def with_turn(shown: AgentWorkerDTO, turn: RunningTurn | None) -> AgentWorkerDTO:
    """With what the activity of the running turn has said last."""
    if turn is None:
        return shown
    told = {"container": turn.container, "offset": turn.offset, "live_cost_usd": turn.cost_usd}
    return shown.model_copy(update=told | {"session_id": turn.session_id or shown.session_id})


def clone_url(project: ProjectRow, settings: Settings) -> str | None:
    """Where the work branch can be fetched; None where another forge than our own has the repository."""
    return f"{settings.site_url}{GIT_PATH}/{project.slug}.git" if settings.forge == LOCAL_FORGE else None


def starting(run: AgentWorkerRun, gateway: GatewayLink) -> AgentWorkerDTO:
    """An agent worker of which its workflow has not told yet."""
    now, worker_id = utc_now(), str(run.worker_id)
    workflow_id = ids.agent_worker_workflow_id(worker_id)
    return AgentWorkerDTO.model_validate(
        {
            "id": worker_id,
            "name": run.config.name,
            "agent": run.config.agent,
            "state": AgentWorkerState.CREATING,
            "user_id": run.user_id,
            "project_id": run.context.get("project_id"),
            "repository": run.context.get("repository"),
            "branch": run.context.get("branch"),
            "uses_login": run.login_volume is not None,
            "workflow_id": workflow_id,
            "web_url": gateway.web_url(workflow_id, None),
            "created_at": now,
            "updated_at": now,
        }
    )
