"""Input and output of the activities of agent workers that are about a running turn, a branch, or their record."""

from typing import Literal

from pydantic import AwareDatetime, ConfigDict, Field

from contracts.agent_workers import WorkerLifecycleEvent
from contracts.artifacts import ArtifactRef
from contracts.base import CommitSha, Identifier, Text, UserId, Whole
from contracts.departments import RepositoryFullName
from contracts.states import AgentKind, AgentWorkerState
from contracts.steps import Done, Step

PUSHED = "refs/orchestrator/pushed"
"""In a workspace: what people have pushed to the work branch, if it could not be merged by itself."""

ControlKind = Literal["steer", "cancel"]


class TurnControl(Step):
    """Something for the turn that runs now: another message, or to end. `number` counts those of one turn, from 1."""

    worker_id: Identifier
    turn: int = Field(ge=1)
    agent: AgentKind
    number: int = Field(ge=1, le=999)
    kind: ControlKind
    text: Text = ""


class ControlTaken(Step):
    """Whether the agent of this turn reads such things while it works."""

    taken: bool


class TurnLeft(Done):
    """What a turn that was stopped has left: the session that it was in, and how far its transcript goes."""

    session_id: str | None = None
    transcript: ArtifactRef | None = None


class BranchTakeUp(Step):
    """Bring what people have pushed to the work branch into the workspace. `known`: where it was last seen or put."""

    worker_id: Identifier
    repository: RepositoryFullName
    branch: str = Field(min_length=1, max_length=151)
    known: CommitSha | None = None


class TakenUp(Step):
    """`branch_head` is where the forge's branch is; None while there is none.

    same: there was nothing new. taken: it is in the workspace now, `files` says what it changed. conflict: it cannot be
    merged by itself; `files` says why not, and the agent finds it under the name `PUSHED`.
    """

    state: Literal["same", "taken", "conflict"]
    branch_head: CommitSha | None = None
    files: list[str] = Field(default_factory=list)


class AgentWorkerProjection(Step):
    """An agent worker as it is now, written by its own workflow; the API rejects a lower `seq`.

    `seq` is as in `Projection`. `task_id` is the task that it works for, None for one that a person has made.
    `transcript` is that of the turn that has just ended; the API keeps the newest. `cost_usd` is what its turns have
    cost so far; `unmetered`: a part of it is only what the agent itself has claimed. `uses_login`: its turns have the
    log-in of its owner at the agent's vendor, so it is its owner's alone, whatever project it works in.
    """

    seq: Whole = Field(ge=0)
    worker_id: Identifier
    run_id: str = Field(default="", max_length=100)
    user_id: UserId
    project_id: Identifier | None = None
    task_id: Identifier | None = None
    name: str = Field(max_length=100)
    agent: AgentKind
    state: AgentWorkerState
    turns: int = Field(ge=0)
    current_request: str | None = Field(default=None, max_length=200)
    session_id: str | None = Field(default=None, max_length=200)
    repository: str | None = None
    branch: str | None = None
    commit: CommitSha | None = None
    note: str | None = Field(default=None, max_length=2_000)
    cost_usd: float | None = Field(default=None, ge=0)
    unmetered: bool = False
    uses_login: bool = False
    transcript: ArtifactRef | None = None
    expires_at: AwareDatetime | None = None
    event: WorkerLifecycleEvent | None = None


class AgentWorkerBody(AgentWorkerProjection):
    """As the body of a request: there a field that nobody knows is refused, not ignored as one of a newer build."""

    model_config = ConfigDict(extra="forbid")


class AgentWorkerAck(Step):
    """`accepted` is false when the API already holds this or a later state; that is not an error."""

    accepted: bool


class OpenWorker(Step):
    """An agent worker that has not ended, as its workflow has told of it last, and when."""

    told: AgentWorkerProjection
    updated_at: AwareDatetime


class OpenWorkerList(Step):
    items: list[OpenWorker]
