"""The outside world as the activities see it. Adapters implement these; fakes share a contract test with them.

Every method may be called again after a crash with the same arguments: it adopts what exists. Long ones are
followed through `Follow`, which heartbeats, receives fine events and raises when the work is cancelled.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from contracts.acceptance import AcceptanceRequest, AcceptanceResult
from contracts.agent_workers import SendMessageCommand, SendMessageResponse, TurnOutcome
from contracts.artifacts import ArtifactRef
from contracts.backups import BackupMade, BackupVerified
from contracts.costs import CostEstimate, CostEstimateRequest
from contracts.departments import DeployMessage, DeployResult, ScaffolderMessage
from contracts.maintenance import OpenTask, Tidied, WorkflowEnding
from contracts.memory import FailureReport, MemoryPublished, MemoryToWrite
from contracts.models import ModelBudget, ModelSpending, ModelTurn, OpenModelTurn, RaiseModelBudget
from contracts.nouns import DeploymentDTO, DeploymentRecord, PortAllocationDTO, ReleaseHealth, ServerDTO
from contracts.parts import WorkPart
from contracts.planning import (
    ChecksKept,
    CheckWriting,
    Judge,
    KeepChecks,
    PartsRequest,
    Plan,
    PlanRequest,
    ProjectChecks,
    ProposedChecks,
    ReviewRequest,
    WrittenChecks,
)
from contracts.progress import FineEvent, Projection, ProjectionAck
from contracts.reviews import Review
from contracts.servers.providers import MachineRef, ProviderAction, ProviderMachine, ProviderOrder
from contracts.states import AgentKind, ProviderActionState
from contracts.steps import (
    AnalysisRequest,
    DeploymentPlan,
    OperationRequest,
    OperationResult,
    ProbeRequest,
    ProbeResult,
    PublishRequest,
    PublishResult,
    PushedBranch,
    ReleaseOutcome,
    ReleaseRequest,
    ReleaseVerdict,
    ScaffoldResult,
    Serving,
    TurnRequest,
    VerificationRequest,
    VerificationResult,
    WorkspaceFile,
    WorkspacePush,
    WorkspaceReady,
    WorkspaceRequest,
)
from contracts.worker_steps import (
    AgentWorkerAck,
    AgentWorkerProjection,
    BranchTakeUp,
    OpenWorker,
    TakenUp,
    TurnControl,
    TurnLeft,
)


@dataclass(frozen=True)
class Follow:
    """How an activity follows a long effect.

    `offset` is the number of bytes of output that an earlier attempt has already reported. `report` takes fine events
    and the offset after them; it heartbeats, and is called at least once a second even without events. `facts` stand in
    the heartbeats beside the offset, for people: the container, the session, what it has cost so far.
    """

    offset: int
    report: Callable[[list[FineEvent], int], Awaitable[None]]
    facts: dict[str, str | float] = field(default_factory=dict)


class Mirror(Protocol):
    """The platform's own copy of one repository: what consumers of a forge read, and push through.

    They build no path to a repository and see no credential of a forge.
    """

    @property
    def directory(self) -> Path:
        """A bare Git directory, on this machine, that has what was fetched. For reading only."""

    async def fetch(self, commit: str | None = None) -> str:
        """Have the commit in the copy, None means the head of main; its full id. Raises NOT_FOUND."""

    async def commit_of(self, branch: str) -> str | None:
        """Where the branch is at the forge; None when there is no such branch."""

    async def read_files(self, commit: str | None, paths: list[str]) -> tuple[str, dict[str, str]]:
        """The commit (None means the head of main) and the text of those of `paths` that exist in it."""

    async def is_behind_main(self, commit: str) -> bool:
        """Whether main has work that the commit has not: it will be brought onto main, and be another one then."""

    async def push(self, source: Path, request: WorkspacePush) -> PushedBranch:
        """Take the HEAD of a clone or bundle into the forge's task branch, and compare what the forge has."""


class Forge(Protocol):
    """Where repositories live. Each carries our mark and has a protected main branch.

    Work is proposed on a branch of its own. `publish` brings it to main once the checks that main requires are
    green at exactly that commit: a hosting service does this with a pull request and its checks.
    """

    async def scaffold(self, message: ScaffolderMessage) -> ScaffoldResult:
        """Create or adopt the repository, generate the project once, push it; refuse a repository of others."""

    async def publish(self, request: PublishRequest) -> PublishResult:
        """Fast-forward main to a verified commit, or rebase the task branch when main has moved."""

    def mirror(self, repository: str) -> Mirror:
        """The platform's copy of `org/name`. Asks nobody before its first use."""


class Workspaces(Protocol):
    """Where agents work: clones, and plain folders. The agent commits locally; only the platform pushes."""

    async def prepare(self, request: WorkspaceRequest) -> WorkspaceReady: ...

    async def write_file(self, request: WorkspaceFile) -> None: ...

    async def push(self, request: WorkspacePush) -> PushedBranch:
        """Push the local head to the task branch, and compare what the remote has.

        Raises BRANCH_MOVED when the branch is not where it is expected, and the head does not have what is there.
        """

    async def take_up(self, request: BranchTakeUp) -> TakenUp:
        """Merge what others have pushed to the task branch into the workspace; nothing if that is where it was."""

    async def remove(self, worker_id: str) -> None: ...


class AgentRuntime(Protocol):
    """Runs one turn of a CLI agent in its own place (a container, or a supervised process)."""

    async def prepare_agent(self, kind: AgentKind) -> None:
        """Have the programs of an agent here, so that its first turn need not wait. May take minutes."""

    async def get_ready(self) -> None:
        """Get what every turn needs, such as an image, so that the first need not wait for it; repeatable."""

    async def prepare_turn(self, request: TurnRequest) -> object | None:
        """What can be looked for before it is known whether the turn may begin; `run_turn` saves the time for it.

        Nothing of the turn begins. None when it has begun already, and where there is nothing to look for.
        """

    async def run_turn(
        self, request: TurnRequest, follow: Follow, model: ModelTurn | None = None, prepared: object | None = None
    ) -> TurnOutcome:
        """Create or adopt the turn, follow it to its end. A second call never starts a second agent.

        `model` is the agent's way to a model, for one that has any. A turn that is refused it is not started.
        `prepared` is what `prepare_turn` has given for the same turn.
        """

    async def stop_turn(self, request: TurnRequest) -> None:
        """Stop the turn and everything that it started; return when all of it has ended."""

    async def control_turn(self, control: TurnControl) -> bool:
        """Leave it in the home of the agent that works in this turn; False for an agent that does not look there."""

    async def left_by(self, request: TurnRequest) -> TurnLeft:
        """What can be read of a turn that was stopped."""


class Tester(Protocol):
    """Runs a project's own checks at an exact commit in a clean copy, without the agent."""

    async def verify(self, request: VerificationRequest, follow: Follow) -> VerificationResult: ...

    async def stop(self, request: VerificationRequest) -> None: ...


class Acceptance(Protocol):
    """Runs checks of a wish against the services of an exact commit, in a clean place without the agent."""

    async def accept(self, request: AcceptanceRequest, follow: Follow) -> AcceptanceResult:
        """Run or adopt the checks; what they have shown is the same for every later call with the same ones.

        A service that does not start, or that is not as a check expects, is in the result. What is not the commit's
        fault is raised: ACCEPTANCE_LOST (transient) when the place was killed or removed from outside, PROCESS_FAILED
        (transient) when packages or a browser cannot be had, DOCKER_UNREACHABLE (transient), STOPPED_BY_PERSON.
        """

    async def stop(self, request: AcceptanceRequest) -> None:
        """Stop the checks and the services; none of it runs when this returns."""


class Planner(Protocol):
    """Says what done means, before anything is built, and divides what is too large for one piece of work."""

    async def divide(self, request: PartsRequest, follow: Follow) -> list[WorkPart]:
        """The parts of the wish, each in its words and together with all of them; fewer than two for a wish in one
        piece. The same again for a repeated call."""

    async def plan(self, request: PlanRequest, follow: Follow) -> Plan:
        """The spec with criteria that quote the words of the wish, and what the wish takes back. The same again for a
        repeated call."""

    async def stop(self, judge: Judge) -> None:
        """Stop a turn that it has begun; none of it runs when this returns."""


class CheckWriter(Protocol):
    """Writes checks from the wish and the API description of a service: it sees no code, and is not the agent that
    wrote it."""

    async def write(self, request: CheckWriting, follow: Follow) -> WrittenChecks:
        """The same again for a repeated call. Asked without a description first: one costs a start of the service."""

    async def stop(self, judge: Judge) -> None:
        """Stop a turn that it has begun; none of it runs when this returns."""


class Reviewer(Protocol):
    """Reads the diff of a commit against its task: an opinion of somebody else than its author."""

    async def review(self, request: ReviewRequest, follow: Follow) -> Review:
        """The same again for a repeated call. That nobody could review is in the review (`problem`), not raised."""

    async def stop(self, judge: Judge, number: int) -> None:
        """Stop whichever of the first `number` reviews runs; none of them does when this returns."""


class ApiDescriptions(Protocol):
    """What the running service of a commit says of its API."""

    async def describe(self, request: AcceptanceRequest, follow: Follow) -> str:
        """The OpenAPI description as JSON; empty if the service has none, does not start, or nothing can run here.

        Raises what `Acceptance.accept` does.
        """

    async def stop(self, request: AcceptanceRequest) -> None:
        """Stop what was started for it; none of it runs when this returns."""


class DeployTarget(Protocol):
    """Puts releases on servers. Idents derive from the release, so a repeated call adopts."""

    async def release(
        self, request: ReleaseRequest, environment: dict[str, dict[str, str]], follow: Follow
    ) -> ReleaseOutcome:
        """`environment` holds, for each service, the variables with their real values."""

    async def stop_release(self, request: ReleaseRequest) -> None:
        """Stop the run that puts this release in place; none of it runs when this returns."""

    async def revert(self, verdict: ReleaseVerdict, previous: DeploymentDTO | None) -> ReleaseOutcome:
        """Return to `previous` (or to nothing) and remove what the failed release started."""

    async def probe(self, request: ProbeRequest) -> ProbeResult: ...

    async def what_serves(self, verdict: ReleaseVerdict, releases: list[DeploymentDTO]) -> Serving:
        """Which of these releases answers healthily at the project's public address, the first that does. Never raises
        for what the server does."""

    async def restore_services(self) -> list[str]:
        """Start what should run and does not, as after a restart of the machine; the names of what was started."""

    async def operate(
        self, request: OperationRequest, release: DeploymentDTO | None, follow: Follow
    ) -> OperationResult: ...


class Servers(Protocol):
    """The servers in the database."""

    async def server(self, handle: str) -> ServerDTO:
        """Raises OrchestratorError NOT_FOUND when there is none."""


class Platform(Protocol):
    """The API, as activities see it: the database is reached through nothing else."""

    async def apply_projection(self, projection: Projection) -> ProjectionAck: ...

    async def has_ended(self, task_id: str) -> bool:
        """Whether the task has its final state; False for one that nobody knows."""

    async def project_checks(self, project_id: str, task_id: str = "") -> ProjectChecks:
        """What the project has promised, and what the task has proposed. Nothing for what is no project."""

    async def propose_checks(self, project_id: str, task_id: str, checks: ProposedChecks) -> ProposedChecks:
        """Record the checks of a task, in place of those that it had."""

    async def keep_checks(self, project_id: str, task_id: str, kept: KeepChecks) -> ChecksKept:
        """What the task has proposed and was met is promised from now on, as far as there is room; what it retires is
        not. Repeatable."""

    async def memory_to_write(self, project_id: str, task_id: str) -> MemoryToWrite:
        """What the project's memory has that its repository has not; the task writes it before it begins."""

    async def report_failure(self, project_id: str, failure: FailureReport) -> None:
        """Remember what went wrong; the same failure again changes nothing."""

    async def memory_published(self, project_id: str, published: MemoryPublished) -> None:
        """The memory as main has it now. Repeatable."""

    async def record_worker(self, projection: AgentWorkerProjection) -> AgentWorkerAck: ...

    async def post_events(self, task_id: str, events: list[FineEvent]) -> None:
        """Of a task, or of an agent worker that works for none."""

    async def egress_hosts(self, project_id: str) -> list[str]:
        """What agents of the project may reach; nothing for what is no project."""

    async def open_model_turn(self, request: OpenModelTurn) -> ModelTurn:
        """The turn's token for the model proxy, the same for every call; `refused` when nothing may be spent now."""

    async def model_spending(self, worker_id: str, turn: int) -> ModelSpending:
        """What the turn has spent so far, and what has stopped it. Raises NOT_FOUND for one that was never opened."""

    async def end_model_turn(self, worker_id: str, turn: int) -> ModelSpending:
        """From now on the turn's token opens nothing; what it has spent."""

    async def estimate_cost(self, request: CostEstimateRequest) -> CostEstimate:
        """What the task will probably cost; the first answer for each task stays."""

    async def generate_secrets(self, project_id: str, names: list[str]) -> None: ...

    async def secret_names(self, project_id: str) -> list[str]: ...

    async def reveal_secrets(self, refs: list[str]) -> dict[str, str]: ...

    async def allocate_ports(
        self, project_id: str, services: list[str], avoid: Sequence[int] = ()
    ) -> PortAllocationDTO:
        """`avoid`: ports that others hold. Raises CONFLICT if the project has already served at one of them."""

    async def record_release(self, release: DeploymentRecord) -> DeploymentDTO: ...

    async def releases(self, project_id: str) -> list[DeploymentDTO]: ...

    async def open_tasks(self) -> list[OpenTask]:
        """Everybody's tasks that have not ended."""

    async def open_workers(self) -> list[OpenWorker]:
        """Everybody's agent workers that have not ended."""

    async def tidy(self) -> Tidied:
        """Delete what nobody can use any more."""

    async def active_releases(self) -> list[DeploymentDTO]:
        """What serves now, of all projects."""

    async def record_health(self, release_id: str, seen: ReleaseHealth) -> None: ...

    async def raise_model_budget(self, request: RaiseModelBudget) -> ModelBudget:
        """Raise a budget on behalf of a person, once for each request id."""


@dataclass(frozen=True)
class Progress:
    """How far a provider's action is. `password` is what it has made up, and goes no further than the secret store."""

    state: ProviderActionState
    detail: str = ""
    password: str | None = field(default=None, repr=False)


class ServerProvider(Protocol):
    """Who has machines, and can install them anew. What takes minutes is an action: ordered once, asked for later.

    Raises OrchestratorError PROVIDER_… everywhere, and NOT_FOUND for a machine that the provider does not have.
    """

    async def machines(self) -> list[ProviderMachine]:
        """All that the account has, ours or not, with what the list says: the rest is asked for one by one."""

    async def machine(self, ref: MachineRef) -> ProviderMachine: ...

    async def order(self, order: ProviderOrder) -> ProviderAction:
        """Begin it, or adopt what the same order has begun. It checks no approval: that is its caller's duty."""

    async def progress(self, action: ProviderAction) -> Progress:
        """Asked again, it says the same again, with the same password."""


class ServerCredentials(Protocol):
    """What opens a server, sealed in the database."""

    async def keep_credential(self, handle: str, name: str, value: str) -> None:
        """Store it, or replace what was there."""

    async def admit(self, order: ProviderOrder) -> None:
        """Let an order out: nothing to a server that is reserved or not ours, nothing that loses data without a
        person's approval of exactly that, which this order uses up. Raises APPROVAL_… and SERVER_…"""


class WorkflowClient(Protocol):
    """Running workflows, reached by wire name: for effects that workflow code cannot have itself."""

    async def send_message(self, command: SendMessageCommand) -> SendMessageResponse:
        """Send one message to a running agent worker, id = request_id; a repeated call attaches to the same."""

    async def delete_worker(self, worker_id: str, request_id: str) -> None: ...

    async def join_deploy(self, message: DeployMessage) -> DeployResult:
        """Hand a message to the deploy that is running for its project, and wait for that message's result."""

    async def withdraw_deploy(self, message: DeployMessage) -> None:
        """Take a message back, whether it waits or runs; return when its work has ended. Repeatable."""

    async def ending(self, workflow_id: str, run_id: str) -> WorkflowEnding | None:
        """How the run ended, and every run that continued it; None while one of them is open."""


class Backups(Protocol):
    """Backups of this installation, in the repository that its settings name."""

    async def make(self, backup_id: str) -> BackupMade:
        """Make the backup, or find the one of this `backup_id`. Raises codes that begin with BACKUP_."""

    async def verify(self, snapshot_id: str) -> BackupVerified:
        """Restore one beside everything else, and compare it with its manifest. Raises BACKUP_DAMAGED, among others."""


class PlanReader(Protocol):
    """Reads what a commit needs to run."""

    async def read(self, request: AnalysisRequest) -> DeploymentPlan: ...


class ArtifactStore(Protocol):
    """Content-addressed storage of large things."""

    async def put(self, name: str, content: bytes, media_type: str = "text/plain") -> ArtifactRef: ...
