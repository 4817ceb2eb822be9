"""Agent workers as the API shows them, and what callers send to them."""

from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from contracts.agent_workers import SendMessageResponse, WorkerLifecycleEvent
from contracts.artifacts import ArtifactRef
from contracts.base import CommitSha, Contract, Identifier, Page, ShortText, Text, UserId, Whole, YesNo
from contracts.progress import ProgressEvent
from contracts.states import AgentKind, AgentProfile, AgentWorkerState

MAX_IDLE_EXPIRY_S = 31_536_000


OwnWorkerId = Annotated[str, StringConstraints(pattern=r"^w-[A-Za-z0-9._-]{1,98}$")]
"""The id of an agent worker that a person makes: those of tasks have the ids of their tasks."""


class WorkerCreate(Contract):
    """An agent that a person talks to. The caller chooses `worker_id`: the same again is the same agent worker.

    With `project_id` it works in a clone of the project's repository, on the branch `task/<worker_id>`; without one in
    an empty folder, and nothing is pushed. `mount_session_volume`: with the person's own log-in at the agent's vendor.
    `profile` says which commands it has inside of a turn.
    `idle_expiry_s`: seconds without a message after which it ends; null: the installation's own.
    """

    worker_id: OwnWorkerId
    name: str = Field(min_length=1, max_length=100)
    agent: AgentKind | None = None
    project_id: Identifier | None = None
    capabilities: list[ShortText] = Field(default_factory=list, max_length=50)
    mount_session_volume: YesNo = False
    profile: AgentProfile = AgentProfile.DEVELOPER
    idle_expiry_s: Whole | None = Field(default=None, ge=60, le=MAX_IDLE_EXPIRY_S)


class AgentWorkerDTO(Contract):
    """`state` is that of the workflow. `cost_usd` is None while nothing is known, and never 0 for that.

    `unmetered`: a part of the cost is the agent's own claim. `container`, `offset` and `live_cost_usd` are of the turn
    that runs now, as its activity has said last. `last_event` is the newest of its life, `last_event_seq` the newest in
    its own stream; one that works for a task is told of in the task's. `uses_login`: it has its owner's log-in at the
    vendor of its agent, and is its owner's alone.
    """

    id: Identifier
    name: str
    agent: AgentKind
    state: AgentWorkerState
    user_id: UserId
    project_id: Identifier | None = None
    task_id: Identifier | None = None
    workflow_id: str
    web_url: str | None = None
    turns: int = 0
    current_request: str | None = None
    session_id: str | None = None
    repository: str | None = None
    branch: str | None = None
    clone_url: str | None = None
    commit: CommitSha | None = None
    note: str | None = None
    cost_usd: float | None = None
    unmetered: bool = False
    uses_login: bool = False
    transcripts: list[ArtifactRef] = Field(default_factory=list)
    expires_at: AwareDatetime | None = None
    last_event: WorkerLifecycleEvent | None = None
    last_event_seq: int = 0
    container: str | None = None
    offset: int | None = None
    live_cost_usd: float | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class AgentWorkerList(Page):
    items: list[AgentWorkerDTO]


class WorkerMessage(Contract):
    """A message for an agent worker: one turn. `timeout_s` bounds the turn, in seconds."""

    request_id: Identifier
    message: Text = Field(min_length=1)
    timeout_s: Whole = Field(default=3600, ge=1, le=86_400)


class WorkerMessageReply(Contract):
    """`response` is None while the turn has not ended: send the same again, or follow the events."""

    request_id: str
    response: SendMessageResponse | None = None


class WorkerSteer(Contract):
    request_id: Identifier
    message: Text = Field(min_length=1)


class WorkerFile(Contract):
    """`path` is inside the workspace."""

    request_id: Identifier
    path: str = Field(min_length=1, max_length=500)
    content: str = Field(max_length=100_000)


class WorkerRequest(Contract):
    """A request that needs nothing but an id."""

    request_id: Identifier


class WorkerBudgetRaise(Contract):
    """What an agent worker may spend more than before, in US dollars; the same request id raises it once."""

    request_id: Identifier
    add_usd: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]


class WorkerEvent(Contract):
    """What an agent worker did. `seq` only grows within it; ask for more with `after`."""

    seq: int
    event: ProgressEvent


class WorkerEventList(Contract):
    items: list[WorkerEvent]
