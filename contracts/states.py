"""Every state, role and kind that crosses a boundary."""

from enum import StrEnum


class Role(StrEnum):
    ADMIN = "admin"
    MEMBER = "member"
    AGENT = "agent"


class ActorVia(StrEnum):
    TELEGRAM = "telegram"
    CLI = "cli"
    API = "api"
    AGENT = "agent"
    SCHEDULE = "schedule"


class SubjectKind(StrEnum):
    PROJECT = "project"
    SERVER = "server"
    CHAT = "chat"
    INSTALLATION = "installation"


class UserState(StrEnum):
    """A blocked person cannot come in, but keeps everything; of a removed one only the name in records is left."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    REMOVED = "removed"


class CredentialKind(StrEnum):
    """What somebody comes in with."""

    KEY = "key"
    """A person's key of the API."""
    TOKEN = "token"
    """An agent's: one project, listed commands, a short time."""
    TICKET = "ticket"
    """In the link that logs one browser in to the Web UI; it works once."""
    SESSION = "session"
    """The login of one browser."""


class MemberRole(StrEnum):
    """What a person may do with a subject: a viewer looks, an editor also works and answers, an owner does all."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"


class ResultStatus(StrEnum):
    SUCCESS = "success"
    FAILED = "failed"
    ERROR = "error"


class TaskKind(StrEnum):
    DELIVERY = "delivery"
    ENGINEERING = "engineering"
    DEPLOY = "deploy"


class TaskState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in {TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED}


class PartState(StrEnum):
    """Of a part of a large wish. `blocked`: a part that it waits for has failed."""

    OPEN = "open"
    RUNNING = "running"
    BLOCKED = "blocked"
    COMPLETED = "completed"
    FAILED = "failed"


class Stage(StrEnum):
    """The step of a task, of whatever kind; also the search attribute `Stage`."""

    QUEUED = "queued"
    STARTING = "starting"
    STARTED = "started"
    # delivery
    ENGINEERING = "engineering"
    DEPLOY = "deploy"
    # engineering
    SCAFFOLDING = "scaffolding"
    PLANNING = "planning"
    DEVELOPING = "developing"
    TESTING = "testing"
    REVIEWING = "reviewing"
    ACCEPTING = "accepting"
    PUBLISHING = "publishing"
    # deploy
    CHOOSING = "choosing"
    ANALYSING = "analysing"
    RESOLVING = "resolving"
    ALLOCATING = "allocating"
    DEPLOYING = "deploying"
    PROBING = "probing"
    WATCHING = "watching"
    PROMOTING = "promoting"
    ROLLING_BACK = "rolling back"
    STOP = "stop"
    RESTART = "restart"
    REMOVE = "remove"
    # any
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ProjectStatus(StrEnum):
    DRAFT = "draft"
    SCAFFOLDING = "scaffolding"
    SCAFFOLDED = "scaffolded"
    SCAFFOLD_FAILED = "scaffold_failed"
    DEVELOPING = "developing"
    TESTING = "testing"
    DEPLOYING = "deploying"
    ACTIVE = "active"
    FAILED = "failed"
    ARCHIVED = "archived"


class CriterionState(StrEnum):
    OPEN = "open"
    MET = "met"
    NOT_MET = "not_met"
    NOT_CHECKABLE = "not_checkable"


class AcceptanceMode(StrEnum):
    """What becomes of a commit whose running service misses the wish."""

    OFF = "off"
    """Nothing is checked."""
    ADVISORY = "advisory"
    """It is published, and what was missed is shown."""
    BINDING = "binding"
    """It goes back to the agent, and in the end to a person."""


class PlanApproval(StrEnum):
    """Whether a person approves the plan before anything is built."""

    OFF = "off"
    ASK = "ask"


class ReviewMode(StrEnum):
    """Whether another agent reads the diff of a green commit against the task, and what becomes of its objections."""

    OFF = "off"
    ADVISORY = "advisory"
    """They are shown with the result."""
    BINDING = "binding"
    """They go back to the agent once, and then to a person."""


class QuestionState(StrEnum):
    OPEN = "open"
    ANSWERED = "answered"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class QuestionKind(StrEnum):
    CLARIFICATION = "clarification"
    APPROVAL = "approval"
    SECRET = "secret"
    BUDGET = "budget"


class ReleaseState(StrEnum):
    PENDING = "pending"
    BUILDING = "building"
    STARTING = "starting"
    PROBING = "probing"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    REMOVED = "removed"


class AgentWorkerState(StrEnum):
    CREATING = "creating"
    IDLE = "idle"
    RUNNING = "running"
    WAITING = "waiting"
    LOST = "lost"
    FAILED = "failed"
    DELETED = "deleted"


class ServerStatus(StrEnum):
    DISCOVERED = "discovered"
    PENDING_SETUP = "pending_setup"
    PROVISIONING = "provisioning"
    READY = "ready"
    IN_USE = "in_use"
    ERROR = "error"
    MAINTENANCE = "maintenance"
    RESERVED = "reserved"
    FORCE_REBUILD = "force_rebuild"
    MISSING = "missing"
    DECOMMISSIONED = "decommissioned"


class ServerKind(StrEnum):
    """Where a server is, and what services are there."""

    MACHINE = "machine"
    """The platform's own machine: supervised processes."""
    CONTAINER = "container"
    """A container of that machine, which the platform makes: containers of an engine inside."""
    SSH = "ssh"
    """Somebody else has set it up: containers of its engine."""


class ProviderKind(StrEnum):
    """Whose machine a server is, and who can install it anew."""

    STATIC = "static"
    """Yours: nobody but you can install it."""
    TIME4VPS = "time4vps"
    LOCAL = "local"
    """A container of the platform's own machine."""


class ProviderActionKind(StrEnum):
    """What a provider can do with a machine. All of these but the new password lose what is on it."""

    REINSTALL = "reinstall"
    RESET_PASSWORD = "reset_password"
    DESTROY = "destroy"

    @property
    def loses_data(self) -> bool:
        return self is not ProviderActionKind.RESET_PASSWORD


class ProviderActionState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ServerAct(StrEnum):
    """What loses data or a machine, and so needs a person's approval."""

    REINSTALL = "reinstall"
    DESTROY = "destroy"
    REMOVE = "remove"
    """The platform forgets the server; the machine itself stays as it is."""


class ApprovalState(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"
    USED = "used"


class IncidentStatus(StrEnum):
    DETECTED = "detected"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    FAILED = "failed"


class IncidentType(StrEnum):
    SERVER_UNREACHABLE = "server_unreachable"
    PROVISIONING_FAILED = "provisioning_failed"
    SERVICE_DOWN = "service_down"
    RESOURCE_EXHAUSTED = "resource_exhausted"


class AgentKind(StrEnum):
    CLAUDE_CODE = "claude-code"
    CODEX = "codex"
    FACTORY_DROID = "factory-droid"
    OPENCODE = "opencode"
    SCRIPTED = "scripted"


class AgentProfile(StrEnum):
    """What an agent works as: which commands it has inside of a turn."""

    DEVELOPER = "developer"
    PRODUCT_OWNER = "product-owner"
    DEVOPS = "devops"


class DeployAction(StrEnum):
    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    STOP = "stop"
    RESTART = "restart"
    REMOVE = "remove"


class Module(StrEnum):
    BACKEND = "backend"
    WEB = "web"
    """Pages over the data of the backend, which serves them."""
    TG_BOT = "tg_bot"
