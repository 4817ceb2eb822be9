"""A real Temporal server and real workers over in-memory ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.adapters.workflow_client import TemporalWorkflowClient
from activities.ports import ServerProvider
from contracts import ids
from contracts.base import Actor
from contracts.departments import DeliveryMessage, DeployMessage, DeployResult, EngineeringMessage
from contracts.errors import OrchestratorError
from contracts.project_spec import ProjectSpec
from contracts.questions import AnswerAccepted, AnswerCommand
from contracts.states import ActorVia, DeployAction, ProviderKind, Role
from runtime.temporal.gateway import Gateway
from tests.support.eventually import eventually
from tests.support.workflows.fake_acceptance import FakeAcceptance, FakeCheckWriter, FakePlanner, PromisingPlatform
from tests.support.workflows.fake_backups import FakeBackups
from tests.support.workflows.fake_reviewer import FakeReviewer
from tests.support.workflows.fake_servers import FakeServerCredentials
from tests.support.workflows.fakes import (
    FakeAgentRuntime,
    FakeForge,
    FakePlanReader,
    FakeTarget,
    FakeTester,
    FakeWorkspaces,
    Step,
)
from workers.wiring import Ports, build_workers

OWNER = Actor(user_id=1001, role=Role.MEMBER, via=ActorVia.CLI)
STRANGER = Actor(user_id=2002, role=Role.MEMBER, via=ActorVia.CLI)
ADMIN = Actor(user_id=1, role=Role.ADMIN, via=ActorVia.CLI)


class SlowWorkflowClient(TemporalWorkflowClient):
    """The real ones; joining can be held up."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.join_step = Step()

    async def join_deploy(self, message: DeployMessage) -> DeployResult:
        await self.join_step.pass_through()
        return await super().join_deploy(message)


@dataclass
class World:
    """Everything a workflow test touches, with ids of its own."""

    client: Client
    project_id: str = field(default_factory=lambda: f"p-{uuid4().hex[:10]}")
    platform: PromisingPlatform = field(default_factory=PromisingPlatform)
    forge: FakeForge = field(default_factory=FakeForge)
    workspaces: FakeWorkspaces = field(default_factory=FakeWorkspaces)
    tester: FakeTester = field(default_factory=FakeTester)
    plans: FakePlanReader = field(default_factory=FakePlanReader)
    target: FakeTarget = field(default_factory=FakeTarget)
    planner: FakePlanner = field(default_factory=FakePlanner)
    check_writer: FakeCheckWriter = field(default_factory=FakeCheckWriter)
    acceptance: FakeAcceptance = field(default_factory=FakeAcceptance)
    reviewer: FakeReviewer = field(default_factory=FakeReviewer)
    backups: FakeBackups = field(default_factory=FakeBackups)
    providers: dict[ProviderKind, ServerProvider] = field(default_factory=dict)
    credentials: FakeServerCredentials = field(default_factory=FakeServerCredentials)

    def __post_init__(self) -> None:
        self.runtime = FakeAgentRuntime(self.workspaces)
        self.gateway = Gateway(self.client, "http://127.0.0.1:1")
        self.workflow_client = SlowWorkflowClient(self.client)

    @property
    def slug(self) -> str:
        return ids.slugs("notes", self.project_id)[-1]

    def ports(self) -> Ports:
        return Ports(
            forge=self.forge,
            workspaces=self.workspaces,
            runtime=self.runtime,
            tester=self.tester,
            plans=self.plans,
            target=self.target,
            platform=self.platform,
            workflow_client=self.workflow_client,
            planner=self.planner,
            check_writer=self.check_writer,
            acceptance=self.acceptance,
            descriptions=self.acceptance,
            reviewer=self.reviewer,
            backups=self.backups,
            providers=self.providers,
            credentials=self.credentials,
        )

    def spec(self) -> ProjectSpec:
        return ProjectSpec(name="notes", description="A notes service: title, text")

    def engineering(self, **changes: object) -> EngineeringMessage:
        values = {
            "task_id": f"eng-{uuid4().hex[:10]}",
            "project_id": self.project_id,
            "user_id": OWNER.user_id,
            "actor": OWNER,
            "project_name": "notes",
            "repository": "u1001/notes",
            "title": "Notes",
            "spec": self.spec(),
        }
        return EngineeringMessage.model_validate(values | changes)

    def deploy(self, **changes: object) -> DeployMessage:
        values = {
            "task_id": f"dep-{uuid4().hex[:10]}",
            "project_id": self.project_id,
            "user_id": OWNER.user_id,
            "actor": OWNER,
            "project_name": "notes",
            "project_slug": self.slug,
            "repository": "u1001/notes",
            "action": DeployAction.DEPLOY,
        }
        return DeployMessage.model_validate(values | changes)

    def delivery(self, **changes: object) -> DeliveryMessage:
        values = {
            "task_id": f"dlv-{uuid4().hex[:10]}",
            "project_id": self.project_id,
            "user_id": OWNER.user_id,
            "actor": OWNER,
            "project_name": "notes",
            "project_slug": self.slug,
            "repository": "u1001/notes",
            "spec": self.spec(),
        }
        return DeliveryMessage.model_validate(values | changes)

    def handle(self, workflow_id: str) -> WorkflowHandle:
        return self.client.get_workflow_handle(workflow_id)

    def deploy_handle(self) -> WorkflowHandle:
        return self.handle(ids.deploy_workflow_id(self.slug))

    async def question(self, task_id: str) -> str:
        """The question that the task asks a person, once it does."""
        return str(await eventually(lambda: self.platform.open_question(task_id), timeout=15))

    async def answer(
        self, workflow_id: str, question_id: str, text: str, actor: Actor = OWNER, **more: object
    ) -> AnswerAccepted | OrchestratorError:
        command = AnswerCommand.model_validate({"question_id": question_id, "actor": actor, "text": text} | more)
        try:
            return await self.gateway.answer(workflow_id, command, uuid4().hex)
        except OrchestratorError as refused:
            return refused


@asynccontextmanager
async def working(world: World, *, max_cached_workflows: int) -> AsyncIterator[list[Worker]]:
    """Temporal workers for every queue, until the block ends."""
    workers = build_workers(world.client, world.ports(), max_cached_workflows=max_cached_workflows)
    started: list[Worker] = []
    try:
        for worker in workers:
            await worker.__aenter__()
            started.append(worker)
        yield workers
    finally:
        for worker in started:
            await worker.__aexit__(None, None, None)
