"""Agent workers: the life of one isolated place in which a CLI agent works."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from contracts.artifacts import ArtifactRef
from contracts.base import Actor, CommitSha, Contract, Identifier, QueueMeta, Text, UserId, utc_now
from contracts.criteria import Criteria
from contracts.models import ModelLimit, ModelName, ModelSpending
from contracts.states import AgentKind, AgentProfile, AgentWorkerState


class WorkerConfig(Contract):
    """`capabilities` are of `contracts.agent_capabilities`; a turn with another one is refused."""

    name: str = Field(min_length=1, max_length=100)
    agent: AgentKind
    capabilities: list[str] = Field(default_factory=list, max_length=50)
    env_vars: dict[str, str] = Field(default_factory=dict)
    mount_session_volume: bool = False
    profile: AgentProfile = AgentProfile.DEVELOPER


class CreateWorkerCommand(QueueMeta):
    """Starts workflow `agent-worker`.

    `context` keys that we use: project_id, task_id, user_id, task_markdown, repository, branch.
    Without a repository the agent works in a plain folder, and nothing is pushed.
    """

    command: Literal["create"] = "create"
    request_id: str = Field(max_length=200)
    config: WorkerConfig
    context: dict[str, str] = Field(default_factory=dict)
    worker_id: Identifier | None = None
    actor: Actor | None = None


class SendMessageCommand(QueueMeta):
    """One turn. `timeout` is in seconds; 1800 is what older producers mean, our own turns say 3600.

    `agent` takes over in the same workspace, with a session of its own, for this and all later turns; `model` is that
    of this turn. None: as before. `fresh_session`: the agent begins anew, in the same workspace.
    """

    command: Literal["send_message"] = "send_message"
    request_id: str = Field(max_length=200)
    worker_id: Identifier
    message: Text
    timeout: int = Field(default=1800, ge=1, le=86_400)
    agent: AgentKind | None = None
    model: ModelName | None = None
    fresh_session: bool = False


class SendFileCommand(QueueMeta):
    """`path` is inside the workspace of the agent worker."""

    command: Literal["send_file"] = "send_file"
    request_id: str = Field(max_length=200)
    worker_id: Identifier
    path: str = Field(min_length=1, max_length=500)
    content: str = Field(max_length=100_000)


class DeleteWorkerCommand(QueueMeta):
    command: Literal["delete"] = "delete"
    request_id: str = Field(max_length=200)
    worker_id: Identifier


class SteerWorkerCommand(QueueMeta):
    """A message for the turn that runs now. Without one it is refused: then it is a message for the next turn."""

    command: Literal["steer"] = "steer"
    request_id: str = Field(max_length=200)
    worker_id: Identifier
    message: Text


class StopTurnCommand(QueueMeta):
    """End the turn that runs now. The agent worker stays; its next message continues the session."""

    command: Literal["stop"] = "stop"
    request_id: str = Field(max_length=200)
    worker_id: Identifier


WorkerCommand = Annotated[
    CreateWorkerCommand | SendMessageCommand | SendFileCommand | DeleteWorkerCommand,
    Field(discriminator="command"),
]


class TurnOutcome(Contract):
    """What one turn left behind. `commit` is read from the repository by the platform, not claimed by the agent.

    status: done (look at `commit`), question (`question` and `choices` are set) or failed. `criteria` are what the
    agent says of each clause of the wish: open for what it has built, not_met for what it has not.
    `document` is what a turn that builds nothing was asked to write, as JSON.
    `limit` is what has stopped the turn at the model, or as a warning soon will; `spending` is what the proxy has seen.
    """

    status: Literal["done", "question", "failed"]
    turn: int
    summary: Text = ""
    question: Text | None = None
    choices: list[str] = Field(default_factory=list, max_length=10)
    commit: CommitSha | None = None
    base_commit: CommitSha | None = None
    files_changed: list[str] = Field(default_factory=list)
    session_id: str | None = None
    fresh_context: bool = False
    transcript: ArtifactRef | None = None
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    criteria: Criteria = Field(default_factory=list)
    limit: ModelLimit | None = None
    agent: AgentKind | None = None
    spending: ModelSpending | None = None
    document: str = Field(default="", max_length=200_000)


class CreateWorkerResponse(Contract):
    request_id: str
    success: bool
    worker_id: str | None = None
    error: str | None = None


class SendMessageResponse(Contract):
    """`stopped`: a person has stopped the turn. With an `outcome`, the agent has ended by itself when it was asked."""

    request_id: str
    success: bool
    response: str | None = None
    error: str | None = None
    outcome: TurnOutcome | None = None
    error_code: str | None = None
    stopped: bool = False


class SendFileResponse(Contract):
    request_id: str
    success: bool
    error: str | None = None


class DeleteWorkerResponse(Contract):
    request_id: str
    success: bool
    error: str | None = None


class SteerWorkerResponse(Contract):
    """`turn` is the turn that has the message now. Without `success` nothing was given to an agent."""

    request_id: str
    success: bool
    turn: int | None = None
    error: str | None = None


class StopTurnResponse(Contract):
    """`turn` is the turn that is being stopped; None when nothing ran. Its message is answered when it has ended."""

    request_id: str
    success: bool
    turn: int | None = None
    error: str | None = None


WorkerResponse = CreateWorkerResponse | SendMessageResponse | SendFileResponse | DeleteWorkerResponse


class AgentWorkerMemory(Contract):
    """What a run of workflow `agent-worker` hands to the next.

    `taken` are the request ids of the newest messages and files, in order; none of them is carried out again.
    `responses`, `file_responses` and `steer_responses` are the newest answers, which a repeated request gets once more.
    `agent` is the one that works now, None for that of the configuration. `pushed` is where the platform has last seen
    or put the work branch; `resting` the state between turns.
    """

    turns: int
    session_id: str | None = None
    agent: AgentKind | None = None
    base_commit: CommitSha | None = None
    host_queue: str
    taken: list[str] = Field(default_factory=list)
    responses: list[SendMessageResponse] = Field(default_factory=list)
    file_responses: list[SendFileResponse] = Field(default_factory=list)
    steer_responses: list[SteerWorkerResponse] = Field(default_factory=list)
    pushed: CommitSha | None = None
    resting: AgentWorkerState = AgentWorkerState.IDLE
    cost_usd: float | None = None
    unmetered: bool = False


class AgentWorkerRun(CreateWorkerCommand):
    """Input of workflow `agent-worker`: the command, and what an earlier run of the same agent worker hands over.

    The server takes 2,000 updates for each run, and ten at once. After `updates_per_run` the workflow continues as
    new as soon as everybody has their answer; from twice as many on it takes nothing more before that. More than
    `max_waiting` messages and files at once are refused, so that a delete always gets in.

    After `idle_expiry_s` seconds without a message it ends by itself; None: never. A turn that is stopped has
    `stop_grace_s` seconds to end by itself. `is_shown`: the API has a record of it, which `user_id` owns. `takes_up`:
    before each turn it takes in what people have pushed to its branch. `login_volume` has the agent's own log-in.
    """

    updates_per_run: int = Field(default=500, ge=1, le=1_000)
    max_waiting: int = Field(default=8, ge=1, le=9)
    idle_expiry_s: int | None = Field(default=None, ge=1, le=31_536_000)
    stop_grace_s: int = Field(default=15, ge=0, le=600)
    is_shown: bool = False
    takes_up: bool = False
    user_id: UserId | None = None
    login_volume: str | None = Field(default=None, max_length=200)
    memory: AgentWorkerMemory | None = None


class WorkerLifecycleEvent(Contract):
    worker_id: str
    type: Literal["started", "completed", "failed", "stopped"]
    timestamp: AwareDatetime = Field(default_factory=utc_now)
    detail: str | None = None


class AgentWorkerStatus(Contract):
    """Answer of the `status` query."""

    worker_id: str
    state: AgentWorkerState
    turns: int = 0
    current_request: str | None = None
    session_id: str | None = None


class AgentWorkerResult(Contract):
    """Result of workflow `agent-worker`."""

    worker_id: str
    turns: int
    state: AgentWorkerState
