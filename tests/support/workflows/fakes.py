"""In-memory ports for workflow tests: quick, scriptable, and counting every effect."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from activities.ports import Follow
from contracts import ids
from contracts.agent_workers import TurnOutcome
from contracts.base import utc_now
from contracts.costs import CostEstimate, CostEstimateRequest
from contracts.departments import ScaffolderMessage
from contracts.errors import ErrorCode, OrchestratorError
from contracts.maintenance import OpenTask, Tidied
from contracts.models import ModelBudget, ModelLimit, ModelSpending, ModelTurn, OpenModelTurn, RaiseModelBudget
from contracts.nouns import DeploymentDTO, DeploymentRecord, PortAllocationDTO, ReleaseHealth
from contracts.progress import FineEvent, Projection, ProjectionAck
from contracts.states import AgentKind, ProjectStatus, ReleaseState, TaskState
from contracts.steps import (
    AnalysisRequest,
    DeploymentPlan,
    EnvEntry,
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
    ServicePort,
    ServiceProcess,
    ServiceSight,
    Serving,
    TurnRequest,
    VerificationRequest,
    VerificationResult,
    WorkspaceFile,
    WorkspacePush,
    WorkspaceReady,
    WorkspaceRequest,
)
from contracts.suite_figures import SuiteFigures
from contracts.worker_steps import (
    AgentWorkerAck,
    AgentWorkerProjection,
    BranchTakeUp,
    OpenWorker,
    TakenUp,
    TurnControl,
    TurnLeft,
)
from tests.support.patience import within

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def sha(text: str) -> str:
    """A commit id made of words."""
    return hashlib.sha1(text.encode()).hexdigest()


@dataclass
class Step:
    """How a scripted step behaves: it returns immediately, or waits until the test releases or stops it."""

    held: bool = False
    started: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def reached(self) -> None:
        """Wait until the work waits here."""
        await within(self.started.wait(), 15)

    async def pass_through(self, follow: Follow | None = None) -> None:
        self.started.set()
        while self.held and not self.released.is_set():
            if follow:
                await follow.report([], follow.offset)
            try:
                await asyncio.wait_for(self.released.wait(), 0.1)
            except TimeoutError:
                continue


@dataclass
class FakePlatform:
    """The API in memory: same rules for sequence numbers, releases and secrets."""

    projections: list[Projection] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    books: dict[str, DeploymentDTO] = field(default_factory=dict)
    events: dict[str, FineEvent] = field(default_factory=dict)
    workers: dict[str, list[AgentWorkerProjection]] = field(default_factory=dict)
    last_seq: dict[str, int] = field(default_factory=dict)
    refusals: int = 0
    project_name: str | None = None
    slow_state: TaskState | None = None
    step: Step = field(default_factory=Step)
    allocation_step: Step = field(default_factory=Step)
    record_step: Step = field(default_factory=Step)
    record_errors: dict[ReleaseState, Exception] = field(default_factory=dict)
    lost_replies: dict[ReleaseState, Exception] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    refuses: Callable[[Projection], bool] | None = None
    open: dict[str, dict[str, object]] = field(default_factory=dict)
    """Tasks that are compared with Temporal, and in what they differ from what their workflows have said."""
    rounds: int = 0
    round_errors: list[Exception] = field(default_factory=list)
    serving: str | None = None
    turn_refusal: ModelLimit | None = None
    spendings: dict[str, ModelSpending] = field(default_factory=dict)
    """What turns have spent, by `<worker_id>:<turn>`."""

    async def open_model_turn(self, request: OpenModelTurn) -> ModelTurn:
        self.spendings.setdefault(f"{request.worker_id}:{request.turn}", ModelSpending())
        token = hashlib.sha256(f"{request.worker_id}/{request.turn}".encode()).hexdigest()
        return ModelTurn(token=f"omt-{token}", model=request.model, refused=self.turn_refusal)

    async def model_spending(self, worker_id: str, turn: int) -> ModelSpending:
        try:
            return self.spendings[f"{worker_id}:{turn}"]
        except KeyError:
            raise OrchestratorError(ErrorCode.NOT_FOUND, "There is no such turn.") from None

    async def end_model_turn(self, worker_id: str, turn: int) -> ModelSpending:
        return await self.model_spending(worker_id, turn)

    raised: dict[str, RaiseModelBudget] = field(default_factory=dict)

    async def raise_model_budget(self, request: RaiseModelBudget) -> ModelBudget:
        self.raised.setdefault(request.request_id, request)
        limit = 5 + sum(one.add_usd for one in self.raised.values())
        return ModelBudget(scope=request.scope, scope_id=request.scope_id, limit_usd=limit)

    async def estimate_cost(self, request: CostEstimateRequest) -> CostEstimate:
        return CostEstimate(task_id=request.task_id)

    async def open_tasks(self) -> list[OpenTask]:
        self.rounds += 1
        if self.round_errors:
            raise self.round_errors.pop(0)
        states = {task_id: self.state(task_id) for task_id in self.open}
        return [self._open_task(task_id) for task_id, state in states.items() if state and not state.is_final]

    def _open_task(self, task_id: str) -> OpenTask:
        """As the API has it: as the last projection says."""
        last = self.of(task_id)[-1]
        asked = self.open_question(task_id)
        questions = [p.question for p in self.of(task_id) if p.question and p.question.id == asked]
        fields = last.model_dump(include=set(OpenTask.model_fields)) | {"id": task_id, "updated_at": NEW_YEAR}
        fields |= {"question": questions[-1] if questions else None, "project_status": ProjectStatus.DEPLOYING}
        return OpenTask.model_validate(fields | self.open[task_id])

    async def tidy(self) -> Tidied:
        return Tidied(tokens=2, chat_updates=1)

    async def apply_projection(self, projection: Projection) -> ProjectionAck:
        if projection.state is self.slow_state:
            await self.step.pass_through()
        if self.refuses and self.refuses(projection):
            raise OrchestratorError(ErrorCode.INVALID_INPUT, "The request contains a NUL character.")
        final = [p for p in self.projections if p.task_id == projection.task_id and p.state.is_final]
        if final and final[0].run_id != projection.run_id:
            return ProjectionAck(accepted=False, closed=True, project_name=self.project_name)
        if self.last_seq.get(projection.task_id, -1) >= projection.seq:
            self.refusals += 1
            return ProjectionAck(accepted=False, project_name=self.project_name)
        self.last_seq[projection.task_id] = projection.seq
        self.projections.append(projection)
        return ProjectionAck(accepted=True, project_name=self.project_name)

    def of(self, task_id: str) -> list[Projection]:
        return [projection for projection in self.projections if projection.task_id == task_id]

    def state(self, task_id: str) -> TaskState | None:
        found = self.of(task_id)
        return found[-1].state if found else None

    def open_question(self, task_id: str) -> str | None:
        questions = {p.question.id: p.question for p in self.of(task_id) if p.question}
        return next((q.id for q in questions.values() if q.state == "open"), None)

    async def record_worker(self, projection: AgentWorkerProjection) -> AgentWorkerAck:
        known = self.workers.setdefault(projection.worker_id, [])
        if known and known[-1].seq >= projection.seq:
            return AgentWorkerAck(accepted=False)
        known.append(projection)
        return AgentWorkerAck(accepted=True)

    async def open_workers(self) -> list[OpenWorker]:
        """None: what they are compared with is told by the test of the real API."""
        return []

    def life(self, worker_id: str) -> list[str]:
        """The kinds of what an agent worker has told of its life."""
        return [told.event.type for told in self.workers.get(worker_id, []) if told.event]

    async def has_ended(self, task_id: str) -> bool:
        state = self.state(task_id)
        return state is not None and state.is_final

    async def post_events(self, task_id: str, events: list[FineEvent]) -> None:
        self.events.update({event.key: event for event in events})

    async def egress_hosts(self, project_id: str) -> list[str]:
        return []

    async def generate_secrets(self, project_id: str, names: list[str]) -> None:
        for name in names:
            self.secrets.setdefault(name, f"generated-{name}")

    async def secret_names(self, project_id: str) -> list[str]:
        return sorted(self.secrets)

    async def reveal_secrets(self, refs: list[str]) -> dict[str, str]:
        return {ref: self.secrets[ref.rsplit("/", 1)[1]] for ref in refs}

    async def allocate_ports(
        self, project_id: str, services: list[str], avoid: Sequence[int] = ()
    ) -> PortAllocationDTO:
        if avoid and any(release.state is ReleaseState.ACTIVE for release in self.books.values()):
            raise OrchestratorError(ErrorCode.CONFLICT, "The address is known.")
        kept = {name: port for name, port in self.ports.items() if port not in avoid}
        free = (port for port in itertools.count(18000) if port not in {*avoid, *kept.values()})
        self.ports = kept | {name: next(free) for name in services if name not in kept}
        ports = [ServicePort(service=name, port=self.ports[name]) for name in services]
        return PortAllocationDTO(project_id=project_id, server_handle="local", server_ip="127.0.0.1", ports=ports)

    async def record_release(self, release: DeploymentRecord) -> DeploymentDTO:
        if release.state in self.record_errors:
            raise self.record_errors[release.state]
        recorded = self._recorded(release)
        # of the project, as the API keeps it
        if release.state is ReleaseState.ACTIVE or release.serving is not None:
            self.serving = release.serving or None
        if release.state in self.lost_replies:
            raise self.lost_replies.pop(release.state)
        if release.state is ReleaseState.ACTIVE:
            await self.record_step.pass_through()
        if release.state is ReleaseState.PENDING:
            await self.allocation_step.pass_through()
        return recorded

    def _recorded(self, release: DeploymentRecord) -> DeploymentDTO:
        known = self.books.get(release.id)
        number = known.number if known else len(self.books) + 1
        if release.state is ReleaseState.ACTIVE:
            for other in list(self.books.values()):
                if other.state is ReleaseState.ACTIVE and other.id != release.id:
                    self.books[other.id] = other.model_copy(update={"state": ReleaseState.SUPERSEDED})
        record = DeploymentDTO(**release.model_dump(), number=number, created_at=utc_now(), updated_at=utc_now())
        self.books[release.id] = record
        return record

    async def releases(self, project_id: str) -> list[DeploymentDTO]:
        return list(self.books.values())

    async def active_releases(self) -> list[DeploymentDTO]:
        return [release for release in self.books.values() if release.state is ReleaseState.ACTIVE]

    async def record_health(self, release_id: str, seen: ReleaseHealth) -> None:
        self.books[release_id] = self.books[release_id].model_copy(update={"health": seen})


@dataclass
class FakeForge:
    effects: Counter[str] = field(default_factory=Counter)
    main: str = field(default_factory=lambda: sha("scaffold"))
    scaffold_step: Step = field(default_factory=Step)
    publish_results: list[PublishResult] = field(default_factory=list)
    published: list[PublishRequest] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    behind: set[str] = field(default_factory=set)
    """Commits that do not have what main has got since."""
    read_error: Exception | None = None

    async def scaffold(self, message: ScaffolderMessage) -> ScaffoldResult:
        await self.scaffold_step.pass_through()
        self.effects["scaffold"] += 1
        return ScaffoldResult(repo_full_name=message.repo_full_name, commit=self.main, template_version="0.1.0")

    async def publish(self, request: PublishRequest) -> PublishResult:
        self.effects["publish"] += 1
        self.published.append(request)
        if self.publish_results:
            return self.publish_results.pop(0)
        self.main = request.commit
        return PublishResult(status="published", commit=request.commit, files_changed=["services/backend/notes.py"])

    def mirror(self, repository: str) -> FakeMirror:
        return FakeMirror(self, repository)


@dataclass
class FakeMirror:
    """Every commit is there, but for those that the forge does not know; none holds files."""

    forge: FakeForge
    repository: str

    @property
    def directory(self) -> Path:
        raise AssertionError("workflow tests have no Git directory")

    async def fetch(self, commit: str | None = None) -> str:
        if self.forge.read_error:
            raise self.forge.read_error
        if commit in self.forge.unknown:
            raise OrchestratorError(ErrorCode.NOT_FOUND, f"{self.repository} has no commit {commit}.")
        return commit or self.forge.main

    async def commit_of(self, branch: str) -> str | None:
        return self.forge.main if branch == "main" else None

    async def is_behind_main(self, commit: str) -> bool:
        return commit in self.forge.behind

    async def read_files(self, commit: str | None, paths: list[str]) -> tuple[str, dict[str, str]]:
        return await self.fetch(commit), {}

    async def push(self, source: Path, request: WorkspacePush) -> PushedBranch:
        raise AssertionError("pushes of workflow tests go through the workspaces")


@dataclass
class FakeWorkspaces:
    heads: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    prepared: list[WorkspaceRequest] = field(default_factory=list)
    base: str = field(default_factory=lambda: sha("scaffold"))
    prepare_error: Exception | None = None
    remove_error: Exception | None = None
    remove_step: Step = field(default_factory=Step)
    push_step: Step = field(default_factory=Step)
    push_errors: list[OrchestratorError] = field(default_factory=list)
    pushes: list[WorkspacePush] = field(default_factory=list)
    takings: list[TakenUp] = field(default_factory=list)
    """What people have pushed: one is taken up each time it is looked for."""

    async def take_up(self, request: BranchTakeUp) -> TakenUp:
        if self.takings:
            return self.takings.pop(0)
        return TakenUp(state="same", branch_head=request.known)

    async def prepare(self, request: WorkspaceRequest) -> WorkspaceReady:
        if self.prepare_error:
            raise self.prepare_error
        self.prepared.append(request)
        self.heads.setdefault(request.worker_id, self.base)
        base = self.base if request.repository else None
        return WorkspaceReady(worker_id=request.worker_id, base_commit=base, host_queue="agents")

    async def write_file(self, request: WorkspaceFile) -> None:
        if ".." in request.path:
            raise OrchestratorError(ErrorCode.INVALID_INPUT, "outside the workspace")
        self.files[request.path] = request.content

    async def push(self, request: WorkspacePush) -> PushedBranch:
        await self.push_step.pass_through()
        self.pushes.append(request)
        if self.push_errors:
            raise self.push_errors.pop(0)
        return PushedBranch(
            commit=self.heads[request.worker_id], base_commit=request.base_commit, files_changed=["a.py"]
        )

    async def remove(self, worker_id: str) -> None:
        await self.remove_step.pass_through()
        if self.remove_error:
            raise self.remove_error
        self.removed.append(worker_id)


@dataclass
class FakeAgentRuntime:
    """Each turn takes the next script: an outcome without commits is 'question' or 'failed' or an idle 'done'."""

    workspaces: FakeWorkspaces
    scripts: list[TurnOutcome | Exception] = field(default_factory=list)
    step: Step = field(default_factory=Step)
    turns: list[TurnRequest] = field(default_factory=list)

    async def prepare_agent(self, kind: AgentKind) -> None:
        pass

    async def get_ready(self) -> None:
        """There is nothing to get."""

    attempts: list[TurnRequest] = field(default_factory=list)
    stopped: list[TurnRequest] = field(default_factory=list)
    done: dict[str, TurnOutcome] = field(default_factory=dict)

    async def prepare_turn(self, request: TurnRequest) -> object | None:
        return None

    async def run_turn(
        self, request: TurnRequest, follow: Follow, model: ModelTurn | None = None, prepared: object | None = None
    ) -> TurnOutcome:
        self.attempts.append(request)
        name = ids.turn_name(request.worker_id, request.turn)
        if name not in self.done:
            self.turns.append(request)
            await self.step.pass_through(follow)
            script = self.scripts.pop(0) if self.scripts else TurnOutcome(status="done", turn=request.turn)
            if isinstance(script, Exception):
                raise script
            if script.status == "done" and script.summary != "idle":
                self.workspaces.heads[request.worker_id] = sha(f"{name}")
            if script.commit:
                self.workspaces.heads[request.worker_id] = script.commit
            self.done[name] = script.model_copy(update={"turn": request.turn, "session_id": "session-1"})
        return self.done[name]

    controls: list[TurnControl] = field(default_factory=list)
    takes_controls: bool = True
    ends_when_asked: bool = True
    left: TurnLeft = field(default_factory=TurnLeft)

    async def stop_turn(self, request: TurnRequest) -> None:
        self.stopped.append(request)
        self.step.stopped.set()

    async def control_turn(self, control: TurnControl) -> bool:
        self.controls.append(control)
        if self.takes_controls and self.ends_when_asked and control.kind == "cancel":
            self.step.released.set()
        return self.takes_controls

    async def left_by(self, request: TurnRequest) -> TurnLeft:
        return self.left


@dataclass
class FakeTester:
    """Red verdicts are taken from `failures` (fingerprints) first; then everything is green, with `figures`."""

    failures: list[str] = field(default_factory=list)
    figures: SuiteFigures | None = None
    step: Step = field(default_factory=Step)
    verified: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    async def verify(self, request: VerificationRequest, follow: Follow) -> VerificationResult:
        await self.step.pass_through(follow)
        self.verified.append(request.commit)
        if self.failures:
            fingerprint = self.failures.pop(0)
            return VerificationResult(
                commit=request.commit,
                passed=False,
                exit_code=2,
                failure_class="code",
                fingerprint=fingerprint,
                evidence=f"FAILED {fingerprint}",
            )
        return VerificationResult(commit=request.commit, passed=True, exit_code=0, figures=self.figures)

    async def stop(self, request: VerificationRequest) -> None:
        self.stopped.append(request.commit)
        self.step.stopped.set()


@dataclass
class FakePlanReader:
    user_secrets: list[str] = field(default_factory=list)
    refusals: list[OrchestratorError] = field(default_factory=list)
    step: Step = field(default_factory=Step)

    async def read(self, request: AnalysisRequest) -> DeploymentPlan:
        await self.step.pass_through()
        if self.refusals:
            raise self.refusals.pop(0)
        entries = [
            EnvEntry(name="PORT", source="allocation"),
            EnvEntry(name="SECRET_KEY", source="generated_secret"),
            *[EnvEntry(name=name, source="user_secret") for name in self.user_secrets],
        ]
        backend = ServiceProcess(name="backend", command=["true"])
        assert request.commit
        return DeploymentPlan(commit=request.commit, services=[backend], environment=entries)


@dataclass
class FakeTarget:
    """`serving` is the release that a visitor reaches."""

    serving: str | None = None
    step: Step = field(default_factory=Step)
    probe_step: Step = field(default_factory=Step)
    watch_step: Step = field(default_factory=Step)
    watched: list[ProbeRequest] = field(default_factory=list)
    dies: set[str] = field(default_factory=set)
    """Commits whose release answers at first and ends while it is watched."""
    broken: set[str] = field(default_factory=set)
    foreign_ports: set[int] = field(default_factory=set)
    unhealthy: set[str] = field(default_factory=set)
    released: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    reverted: list[ReleaseVerdict] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    on_release: Callable[[ReleaseRequest], None] | None = None
    revert_error: Exception | None = None
    revert_errors: list[Exception] = field(default_factory=list)
    seen: Serving | None = None
    operate_step: Step = field(default_factory=Step)

    async def release(
        self, request: ReleaseRequest, environment: dict[str, dict[str, str]], follow: Follow
    ) -> ReleaseOutcome:
        await self.step.pass_through(follow)
        if self.on_release:
            self.on_release(request)
        self.released.append(request.release_id)
        held = [item.port for item in request.allocation.ports if item.port in self.foreign_ports]
        if held:
            return ReleaseOutcome(ok=False, error_code="PORT_TAKEN", error=f"port {held[0]} is taken", taken_ports=held)
        if request.plan.commit in self.broken:
            return ReleaseOutcome(ok=False, error_code="PLAYBOOK_FAILED", error="the candidate did not start")
        self.serving = request.release_id
        return ReleaseOutcome(ok=True, switched=True)

    async def stop_release(self, request: ReleaseRequest) -> None:
        self.stopped.append(request.release_id)
        self.step.stopped.set()

    async def revert(self, verdict: ReleaseVerdict, previous: DeploymentDTO | None) -> ReleaseOutcome:
        self.reverted.append(verdict)
        if self.revert_errors:
            raise self.revert_errors.pop(0)
        if self.revert_error:
            raise self.revert_error
        self.serving = previous.id if previous else None
        return ReleaseOutcome(ok=True)

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        url = f"http://127.0.0.1:{request.allocation.ports[0].port}"
        services = {one.name: ServiceSight(state="running", pid=7, link=url) for one in request.plan.services}
        if request.watch_s:
            self.watched.append(request)
            await self.watch_step.pass_through()
            if request.plan.commit in self.dies:
                return ProbeResult(ok=False, url=url, restarts=1, error="backend ended and was started again")
            return ProbeResult(ok=True, url=url, status_code=200, services=services)
        await self.probe_step.pass_through()
        ok = request.plan.commit not in self.unhealthy
        error = None if ok else "answered 500"
        return ProbeResult(ok=ok, url=url, status_code=200 if ok else 500, error=error, services=services)

    async def what_serves(self, verdict: ReleaseVerdict, releases: list[DeploymentDTO]) -> Serving:
        return self.seen or Serving(release_id=self.serving, answers=self.serving is not None)

    async def restore_services(self) -> list[str]:
        return []

    async def operate(
        self, request: OperationRequest, release: DeploymentDTO | None, follow: Follow
    ) -> OperationResult:
        await self.operate_step.pass_through(follow)
        self.operations.append(request.action.value)
        return OperationResult(ok=True)
