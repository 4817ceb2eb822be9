"""Names of all outside effects, derived from ids that the caller chose: a retry finds what exists."""

import hashlib
import re
from uuid import uuid4

from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import AgentKind, TaskKind

_PREFIX = {TaskKind.DELIVERY: "dlv", TaskKind.ENGINEERING: "eng", TaskKind.DEPLOY: "dep"}


def new_task_id(kind: TaskKind) -> str:
    """A fresh task id such as `eng-1f9a2b3c4d5e`."""
    return f"{_PREFIX[kind]}-{uuid4().hex[:12]}"


def kind_of_task(task_id: str) -> TaskKind | None:
    """The kind that a task id was made for; None for an id that the platform did not make."""
    prefix = task_id.partition("-")[0]
    return next((kind for kind, known in _PREFIX.items() if known == prefix), None)


def child_task_id(parent_task_id: str, kind: TaskKind) -> str:
    """The task id of a delivery's step; the same for every replay and retry."""
    return f"{_PREFIX[kind]}-{parent_task_id.removeprefix('dlv-')}"


def part_task_id(parent_task_id: str, number: int, total: int) -> str:
    """The task id of a part of a delivery, such as `eng-1f9a2b3c4d5e-2of3`; the same for every replay and retry."""
    return f"{child_task_id(parent_task_id, TaskKind.ENGINEERING)}-{number}of{total}"


def part_of_task(task_id: str) -> tuple[int, int] | None:
    """Which part of how many a task is; None for one that is no part."""
    found = re.search(r"^eng-.+-(\d{1,2})of(\d{1,2})$", task_id)
    return (int(found[1]), int(found[2])) if found else None


def task_id_for_request(kind: TaskKind, request_id: str) -> str:
    """The task id that belongs to a caller's request id: a repeated request names the same task.

    A delivery's steps keep its number, so equal request ids of two kinds have two numbers.
    """
    digits = hashlib.sha256(f"{kind.value}/{request_id}".encode()).hexdigest()
    return f"{_PREFIX[kind]}-{digits[:12]}"


def retry_task_id(task_id: str) -> str:
    """The task that goes on with an ended one: each has at most one, so that a repeated retry is the same."""
    prefix = task_id.partition("-")[0]
    return f"{prefix}-{hashlib.sha256(f'retry/{task_id}'.encode()).hexdigest()[:12]}"


def slugs(project_name: str, project_id: str) -> list[str]:
    """Slugs for a new project, the first to be preferred: its name and 4, 8 or 16 hex digits that its id determines."""
    name = re.sub(r"[^a-z0-9]+", "-", project_name.lower()).strip("-") or "project"
    digits = hashlib.sha256(project_id.encode()).hexdigest()
    return [f"{name}-{digits[:length]}" for length in (4, 8, 16)]


def delivery_workflow_id(project_slug: str, task_id: str) -> str:
    return f"delivery/{project_slug}/{task_id}"


def engineering_workflow_id(task_id: str) -> str:
    return f"engineering/{task_id}"


def deploy_workflow_id(project_slug: str | None) -> str:
    """The one deploy workflow of a project. Raises INVALID_INPUT without a slug: a guess would let two deploys run."""
    if project_slug is None:
        raise OrchestratorError(
            ErrorCode.INVALID_INPUT,
            "The message has no `project_slug`. Add it from the project (`GET /projects/{id}`).",
        )
    return f"deploy/{project_slug}"


def agent_worker_workflow_id(worker_id: str) -> str:
    return f"worker/{worker_id}"


def new_worker_id() -> str:
    """A fresh id of an agent worker that a person makes, such as `w-1f9a2b3c4d5e`."""
    return f"w-{uuid4().hex[:12]}"


def login_volume(user_id: int, agent: AgentKind) -> str:
    """The volume with one person's own log-in at an agent's vendor."""
    return f"login-{user_id}-{agent.value}"


def fitting(name: str, most: int = 100) -> str:
    """`name`; one of more than `most` characters as its beginning and digits of all of it: two that differ stay two."""
    if len(name) <= most:
        return name
    return f"{name[: most - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def worker_id_for_task(task_id: str) -> str:
    return task_id


def turn_name(worker_id: str, turn: int) -> str:
    """Name of the container or supervised process of one turn."""
    return f"turn-{worker_id}-{turn}"


def verification_name(task_id: str, commit: str) -> str:
    """Name of the Tester's run: one per task and commit."""
    return f"test-{task_id}-{commit[:12]}"


def acceptance_name(task_id: str, commit: str, digest: str) -> str:
    """Name of the run that checks a wish: one per task, commit and set of checks."""
    return f"accept-{task_id}-{commit[:12]}-{digest[:8]}"


def release_run_name(release_id: str, task_id: str) -> str:
    """Name of the detached run of the release program: one per release and task."""
    return f"play-{release_id}-{task_id}"


def release_id_for_task(task_id: str) -> str:
    return f"rel-{task_id.removeprefix('dep-')}"


def question_id(task_id: str, number: int) -> str:
    return f"q-{task_id}-{number}"


def work_branch(task_id: str) -> str:
    return f"task/{task_id}"


def task_of_branch(branch: str) -> str:
    """The task that a work branch was made for."""
    return branch.removeprefix("task/")


def repository_names(owner_id: int, project_name: str, project_id: str) -> tuple[str, str]:
    """Possible names for the repository of a new project, `org/name`, the preferred one first.

    One namespace for each owner, so that equal names of two people never meet. The second name is for the case that an
    older project's repository has kept the first. Only whoever creates a project asks: after that, the project's row
    has the name.
    """
    first = f"u{owner_id}/{project_name}"
    return first, f"{first}-{hashlib.sha256(project_id.encode()).hexdigest()[:8]}"


def directory_name(project_name: str) -> str:
    """snake_case form of a project name, for directories and containers on servers."""
    return re.sub(r"[^a-z0-9]+", "_", project_name.lower()).strip("_") or "project"


def secret_ref(project_id: str, name: str) -> str:
    return f"secret://projects/{project_id}/{name}"
