"""The API's nouns: every route's body and reply is one of these."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, SecretStr

from contracts.artifacts import ArtifactRef
from contracts.base import Actor, CommitSha, Contract, Identifier, Page, Text, UserId, Whole, YesNo
from contracts.chat import Language
from contracts.costs import TaskCost
from contracts.criteria import Criteria
from contracts.departments import RepositoryFullName
from contracts.parts import TaskPart
from contracts.progress import FineEvent, StreamedEvent
from contracts.project_spec import Modules, ProjectName, ProjectSlug, ProjectSpec, SecretName
from contracts.questions import QuestionDTO
from contracts.states import (
    AgentKind,
    DeployAction,
    IncidentStatus,
    IncidentType,
    Module,
    ProjectStatus,
    ProviderKind,
    ReleaseState,
    Role,
    ServerKind,
    ServerStatus,
    Stage,
    TaskKind,
    TaskState,
    UserState,
)
from contracts.steps import ServicePort, ServiceProcess
from contracts.subjects import Subject

# Users and access

MAX_KEY_TTL_S = 10 * 366 * 86_400
"""Ten years."""


class UserCreate(Contract):
    """`user_id` is the Telegram user id. The key works for `key_ttl_s` seconds, without it until it is ended."""

    user_id: UserId
    role: Literal[Role.ADMIN, Role.MEMBER] = Role.MEMBER
    name: str = Field(default="", max_length=200)
    key_ttl_s: Whole | None = Field(default=None, ge=60, le=MAX_KEY_TTL_S)


class UserDTO(Contract):
    user_id: UserId
    role: Role
    name: str = ""
    language: Language | None = None
    state: UserState = UserState.ACTIVE
    created_at: AwareDatetime


class UserList(Page):
    items: list[UserDTO]


class UserCreated(Contract):
    """`api_key` is shown once; only its hash is stored. It is empty for a bot, which needs no key of a person."""

    user: UserDTO
    api_key: str
    expires_at: AwareDatetime | None = None


class TokenRequest(Contract):
    """A short-lived token for an agent: one project, listed commands (such as `task.show`), seconds to live."""

    project_id: Identifier
    commands: list[str] = Field(min_length=1, max_length=50)
    ttl_s: Whole = Field(default=3600, ge=10, le=86_400)


class TokenCreated(Contract):
    token: str
    expires_at: AwareDatetime
    commands: list[str]


class WhoAmI(Contract):
    actor: Actor
    project_id: str | None = None
    commands: list[str] | None = None
    language: Language | None = None


# Projects


class ProjectCreate(Contract):
    """The caller chooses `id`, so that a repeated create is the same create."""

    id: Identifier
    name: ProjectName
    title: str = Field(default="", max_length=200)
    description: Text = ""
    modules: Modules = Field(default_factory=lambda: [Module.BACKEND])
    spec: ProjectSpec | None = None


class ProjectUpdate(Contract):
    """Only the given fields change. `name`: repository, service and workflow ids keep their names."""

    name: ProjectName | None = None
    title: str | None = Field(default=None, max_length=200)
    description: Text | None = None
    spec: ProjectSpec | None = None
    archived: YesNo | None = None


class ProjectDTO(Contract):
    """`slug` is in the ids of the project's workflows and stays when the project is renamed, as does `repository`.

    `serving` says what serves if that is not simply the active release, as after a rollback that failed.
    `clone_url` is the repository over HTTP, for Git and the key of whoever may see the project.
    """

    id: Identifier
    name: ProjectName
    slug: ProjectSlug | None = None
    title: str = ""
    description: str = ""
    modules: list[Module]
    status: ProjectStatus
    owner_id: UserId
    spec: ProjectSpec | None = None
    repository: RepositoryFullName | None = None
    url: str | None = None
    serving: str | None = None
    clone_url: str | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class ProjectResponse(Contract):
    """A project with what belongs to it now."""

    project: ProjectDTO
    active_release: "DeploymentDTO | None" = None
    open_questions: list[QuestionDTO] = Field(default_factory=list)


class ProjectList(Page):
    items: list[ProjectDTO]


class ProjectTransfer(Contract):
    """`user_id` becomes the only owner; the former one keeps no rights in the project."""

    user_id: UserId


class ProjectDeletion(Contract):
    """What the deletion of a project takes away (`goes`: how many of what), leaves, and what stands in its way."""

    project_id: Identifier
    name: ProjectName
    goes: dict[str, int]
    stays: list[str] = Field(default_factory=list)
    blocked_by: list[str] = Field(default_factory=list)


# Tasks


class TaskDTO(Contract):
    """A projection of one workflow, for people.

    `waiting_for` says for whom or what, when state is waiting, and `question_id` which question that is.

    `criteria` stand for the clauses of the wish; those that are `not_met` were not built. `parts` are those of a large
    wish. `cost` is what models have cost, the work below it included; None if no model works for it, and in lists.

    `stalled_queue` names the task queue that it waits on and that no live Temporal worker serves since `stalled_since`.
    """

    id: Identifier
    kind: TaskKind
    subject: Subject
    user_id: UserId
    workflow_id: str
    run_id: str = ""
    title: str = ""
    state: TaskState
    stage: Stage = Stage.QUEUED
    waiting_for: str | None = None
    question_id: str | None = None
    parent_task_id: str | None = None
    result: dict[str, str | int | None] = Field(default_factory=dict)
    error_code: str | None = None
    error: str | None = None
    artifacts: list[ArtifactRef] = Field(default_factory=list)
    criteria: Criteria = Field(default_factory=list)
    parts: list[TaskPart] = Field(default_factory=list)
    cost: TaskCost | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    web_url: str | None = None
    stalled_queue: str | None = None
    stalled_since: AwareDatetime | None = None


class TaskList(Page):
    items: list[TaskDTO]


class TaskTree(Contract):
    """A task and all work below it, oldest first after the task itself, with the questions of all of them.

    Questions are of every state, newest first.
    """

    task: TaskDTO
    below: list[TaskDTO] = Field(default_factory=list)
    questions: list[QuestionDTO] = Field(default_factory=list)


class EngineeringStart(Contract):
    """Start work on a wish. The caller chooses `request_id`: the same id is the same task.

    `agent`, `max_rounds` and `require_approval` default to the project's settings.
    """

    request_id: str = Field(min_length=1, max_length=200)
    project_id: Identifier
    wish: Text = ""
    spec: ProjectSpec | None = None
    title: str | None = Field(default=None, max_length=200)
    agent: AgentKind | None = None
    max_rounds: Whole | None = Field(default=None, ge=1, le=10)


class DeliveryStart(EngineeringStart):
    """Engineering, then deploy."""

    require_approval: YesNo | None = None


class DeployStart(Contract):
    """An action on what a project has deployed; `commit` None means the newest published one.

    Without `require_approval` the project's settings say whether a person is asked.
    """

    request_id: str = Field(min_length=1, max_length=200)
    project_id: Identifier
    action: DeployAction = DeployAction.DEPLOY
    commit: CommitSha | None = None
    release_id: Identifier | None = None
    require_approval: YesNo | None = None


class StartedTask(Contract):
    """`joined` is true when an equal piece of work was already running: `task_id` is that one's.

    `queued` is true when it waits behind another deploy of the same project.
    """

    task_id: Identifier
    workflow_id: str
    joined: bool = False
    queued: bool = False
    web_url: str | None = None


class CancelAccepted(Contract):
    task_id: str
    message: str = ""


class EventBatch(Contract):
    """Fine events of one task, posted by the running activity."""

    task_id: Identifier
    events: list[FineEvent] = Field(max_length=500)


class EventsAccepted(Contract):
    """`stored` counts rows that were new."""

    stored: int


class EventList(Contract):
    items: list[StreamedEvent]


# Questions


class QuestionList(Page):
    items: list[QuestionDTO]


class AnswerRequest(Contract):
    """A person's answer over HTTP. `secrets` go to the secret store and never into a workflow."""

    answer_id: str = Field(min_length=1, max_length=200)
    text: Text = ""
    plan_hash: str | None = None
    secrets: dict[SecretName, SecretStr] = Field(default_factory=dict)


# Secrets


class SecretWrite(Contract):
    """The value is write-only: no route ever returns what a person wrote."""

    value: SecretStr = Field(max_length=65_536)


class SecretDTO(Contract):
    """`shown_at` is when the owner has seen a generated value, which is possible once."""

    name: SecretName
    ref: str
    source: Literal["user", "generated"]
    updated_at: AwareDatetime
    shown_at: AwareDatetime | None = None


class SecretShown(Contract):
    """The value of a generated secret, which its project's owner sees this once."""

    name: SecretName
    value: str


class SecretList(Contract):
    items: list[SecretDTO]


class PlatformSecretDTO(Contract):
    """A secret of the installation, such as a key for models; never its value."""

    name: SecretName
    changed_by: UserId
    updated_at: AwareDatetime


class PlatformSecretList(Contract):
    items: list[PlatformSecretDTO]


class SecretGenerate(Contract):
    """Platform only. Make a random value for every name that has none; values that exist never change."""

    names: list[SecretName] = Field(max_length=100)


class SecretNames(Contract):
    """Platform only: which names have a value."""

    present: list[str]


class SecretReveal(Contract):
    """Platform only: the values that a deployment needs, by reference."""

    refs: list[str] = Field(min_length=1, max_length=100)


class SecretValues(Contract):
    values: dict[str, str]


# Servers, ports, releases, incidents

NOT_YET = "unassigned"
"""The address of a server that has not been reached yet."""


class ServerCreate(Contract):
    """Services answer at `public_ip`; SSH at `ssh_host`, empty where that is the same.

    `host_key` are the public keys by which the server is known, a line for each: type and key. `machine_id` is its
    provider's id for it, empty where that is the handle. `managed`: the platform may set the machine up; without it,
    it only deploys to it.
    """

    handle: Identifier
    kind: ServerKind = ServerKind.SSH
    public_ip: str = Field(min_length=1, max_length=100)
    ssh_host: str = Field(default="", max_length=100)
    ssh_port: Whole = Field(default=22, ge=1, le=65535)
    ssh_user: str = Field(default="root", max_length=64)
    host_key: str = Field(default="", max_length=4_000)
    status: ServerStatus = ServerStatus.PENDING_SETUP
    ram_mb: Whole = Field(default=0, ge=0)
    disk_mb: Whole = Field(default=0, ge=0)
    port_from: Whole = Field(default=18000, ge=1, le=65535)
    port_to: Whole = Field(default=18999, ge=1, le=65535)
    provider: ProviderKind = ProviderKind.STATIC
    machine_id: str = Field(default="", max_length=100)
    managed: YesNo = False
    cpu_cores: Whole = Field(default=0, ge=0)


class ServerUpdate(Contract):
    status: ServerStatus | None = None
    ram_mb: Whole | None = Field(default=None, ge=0)
    disk_mb: Whole | None = Field(default=None, ge=0)


class ServerDTO(Contract):
    """`host_key_pinned_by` is None for the platform, which takes a machine's first key and no other one. `price` and
    `image` are in the provider's words, as of `provider_seen_at`."""

    handle: Identifier
    kind: ServerKind = ServerKind.SSH
    public_ip: str
    ssh_host: str = ""
    ssh_port: int = 22
    ssh_user: str
    host_key: str = ""
    status: ServerStatus
    ram_mb: int
    disk_mb: int
    port_from: int
    port_to: int
    created_at: AwareDatetime
    provider: ProviderKind = ProviderKind.STATIC
    machine_id: str = ""
    managed: bool = False
    cpu_cores: int = 0
    price: str = ""
    image: str = ""
    provider_seen_at: AwareDatetime | None = None
    host_key_pinned_at: AwareDatetime | None = None
    host_key_pinned_by: int | None = None


class ServerList(Page):
    items: list[ServerDTO]


class PortAllocationRequest(Contract):
    """Platform only. Idempotent: a project's service keeps its server and port.

    `avoid` names ports that something else holds: a service with one of them gets another, until a release has served.
    """

    project_id: Identifier
    services: list[str] = Field(min_length=1, max_length=20)
    server_handle: Identifier | None = None
    avoid: list[int] = Field(default_factory=list, max_length=100)


class PortAllocationDTO(Contract):
    project_id: Identifier
    server_handle: Identifier
    server_ip: str
    ports: list[ServicePort]


class PortAllocationList(Page):
    items: list[PortAllocationDTO]


class DeploymentRecord(Contract):
    """Platform only: what is known of a release. Written before the effect; the same id is the same release.

    `image` is the id of the container image that it runs, and every later start of it; None where there are none.
    `serving` is kept with the project until a release of it is recorded as active; an empty one takes it back.
    `links` says where people reach each of its services, by name. `still_built` are the releases of the project whose
    images its server has; None if that is not known, or there are no images.
    """

    id: Identifier
    project_id: Identifier
    task_id: Identifier
    commit: CommitSha
    state: ReleaseState
    server_handle: Identifier | None = None
    url: str | None = None
    services: list[ServiceProcess] = Field(default_factory=list)
    error_code: str | None = None
    error: str | None = Field(default=None, max_length=4_000)
    log: ArtifactRef | None = None
    image: str | None = Field(default=None, max_length=100)
    serving: str | None = Field(default=None, max_length=1_000)
    links: dict[str, str] = Field(default_factory=dict)
    still_built: list[Identifier] | None = Field(default=None, max_length=1_000)


class ServiceHealth(Contract):
    """How a deployed service was when it was last looked at, and since when: since it is in this state, or since its
    last start. `restarts` counts since a deploy or a person started it; `pid` is its process, if known.
    """

    state: Literal["healthy", "unhealthy", "stopped"]
    since: AwareDatetime
    restarts: int = Field(default=0, ge=0)
    error: str | None = Field(default=None, max_length=2_000)
    pid: int | None = None


class ReleaseHealth(Contract):
    """Platform only: what was seen of the services of the active release at `seen_at`."""

    seen_at: AwareDatetime
    services: dict[str, ServiceHealth]


class DeploymentDTO(DeploymentRecord):
    """`number` counts the releases of a project from 1. `health` is that of the active one, once it was looked at.

    `can_return` says whether a rollback can go back to it: it was live, is not now, and is kept on its server.
    """

    number: int
    can_return: bool = True
    health: ReleaseHealth | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class DeploymentList(Page):
    items: list[DeploymentDTO]


class IncidentDTO(Contract):
    id: Identifier
    server_handle: Identifier
    type: IncidentType
    status: IncidentStatus
    detected_at: AwareDatetime
    resolved_at: AwareDatetime | None = None
    details: Text = ""


class IncidentList(Page):
    items: list[IncidentDTO]


# The platform itself


class DiskDTO(Contract):
    """A disk that the platform writes to. `name` lists what is on it."""

    name: str
    free_mb: int
    total_mb: int
    state: Literal["ok", "low", "full"]


class Health(Contract):
    """`disks` are those of the API's machine."""

    status: Literal["ok", "degraded"]
    version: str
    database: bool
    temporal: bool
    disks: list[DiskDTO] = Field(default_factory=list)


class QueueDTO(Contract):
    """A Temporal task queue, as last seen.

    `workers` counts live workers, `pollers` the connections that the server remembers (for minutes). `backlog` and
    `oldest_waiting_s` (seconds) are the server's estimates. `seen_at` is the newest sign of a worker. `unserved_since`
    is set while work waits and no worker lives; `served` says whether a worker lives, also while nothing waits.
    """

    name: str
    workers: int
    pollers: int
    backlog: int
    oldest_waiting_s: float | None = None
    seen_at: AwareDatetime | None = None
    unserved_since: AwareDatetime | None = None
    served: bool = True


class AlertDTO(Contract):
    """Something that a person has to put right; it disappears by itself once that is done."""

    kind: Literal["queue_unserved", "temporal_unreachable", "disk_full"]
    subject: str
    since: AwareDatetime
    message: str


class QueueList(Contract):
    """`looked_at` is when the Temporal server answered last; None when it never has."""

    items: list[QueueDTO]
    alerts: list[AlertDTO] = Field(default_factory=list)
    looked_at: AwareDatetime | None = None


class WebUiTicket(Contract):
    """A link that logs one browser in to the Web UI with readable payloads, once, until `expires_at`."""

    url: str
    expires_at: AwareDatetime


class Problem(Contract):
    """RFC 9457 problem details. `code` is stable; `detail` says what to do."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[dict[str, str]] = Field(default_factory=list)


class ArtifactHashes(Contract):
    """Platform only: which of these may go?"""

    items: list[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = Field(max_length=1_000)


class ArtifactFates(Contract):
    """`kept` by a task or release whose project keeps it, `expired` for all that refer to it; others are unknown."""

    kept: list[str]
    expired: list[str]


class ArtifactContent(Contract):
    """A slice of a text artifact; `next_offset` is None at the end. Offsets are in bytes."""

    ref: ArtifactRef
    text: str
    next_offset: int | None = None
