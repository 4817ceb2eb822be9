"""The composition root: the one module that knows which class implements which port."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client
from temporalio.langgraph import LangGraphPlugin
from temporalio.worker import PollerBehaviorAutoscaling, Worker

from activities.acceptance import AcceptanceNodes
from activities.agent import AgentActivities
from activities.departments import DepartmentActivities
from activities.deployment import DevopsNodes
from activities.engineering import EngineeringNodes
from activities.health import HealthActivities
from activities.maintenance import BackupActivities, MaintenanceActivities
from activities.parts import PartsActivities
from activities.ports import (
    Acceptance,
    AgentRuntime,
    ApiDescriptions,
    Backups,
    CheckWriter,
    DeployTarget,
    Forge,
    Planner,
    PlanReader,
    Platform,
    Reviewer,
    ServerCredentials,
    ServerProvider,
    Tester,
    WorkflowClient,
    Workspaces,
)
from activities.projection import ProjectionActivities, WorkerRecordActivities
from activities.providers import ProviderActivities
from activities.repository import RepositoryActivities
from activities.review import ReviewNodes
from contracts.names import GraphName, Queue
from contracts.states import ProviderKind
from workers.graphs import GraphsOfRun
from workers.held_steps import HeldSteps
from workers.interceptors import ErrorTranslation
from workers.sandbox import build_runner, compile_workflows
from workflows.agent_worker import AgentWorkerWorkflow
from workflows.delivery import DeliveryWorkflow
from workflows.deploy import DeployWorkflow
from workflows.engineering import EngineeringWorkflow
from workflows.graphs.devops import build_devops_graph
from workflows.graphs.engineering import build_engineering_graph
from workflows.graphs.topology import Topology
from workflows.housekeeping import BackupWorkflow, HousekeepingWorkflow
from workflows.maintenance import MaintenanceWorkflow

WORKFLOWS: list[type] = [
    DeliveryWorkflow,
    EngineeringWorkflow,
    DeployWorkflow,
    AgentWorkerWorkflow,
    MaintenanceWorkflow,
    HousekeepingWorkflow,
    BackupWorkflow,
]

# A value that fits no contract fails the run with a message; as an unknown exception it would be retried without end.
WORKFLOW_FAILURES: list[type[BaseException]] = [ValidationError]

# After a dead worker its runs are handed over this soon (the default is ten seconds).
_STICKY = timedelta(seconds=2)

# Heartbeats are not held back longer than this, so a cancellation reaches an activity in well under a second.
_HEARTBEAT_THROTTLE = timedelta(seconds=1)

# Longer than a heartbeat, so that an activity can tell the server that it is being handed over.
_GRACE = timedelta(seconds=10)

_SLOTS = {
    Queue.ORCHESTRATOR: 300,  # light: most of them wait for another workflow
    Queue.AGENTS: 40,  # each may be a container of a gigabyte, or a test run
    Queue.INFRA: 20,  # each is an Ansible process
}


@dataclass(frozen=True)
class Ports:
    """Everything outside, behind its port."""

    forge: Forge
    workspaces: Workspaces
    runtime: AgentRuntime
    tester: Tester
    plans: PlanReader
    target: DeployTarget
    platform: Platform
    workflow_client: WorkflowClient
    planner: Planner
    check_writer: CheckWriter
    acceptance: Acceptance
    descriptions: ApiDescriptions
    reviewer: Reviewer
    backups: Backups
    providers: Mapping[ProviderKind, ServerProvider]
    credentials: ServerCredentials

    def engineering(self) -> EngineeringNodes:
        """What builds."""
        return EngineeringNodes(self.workflow_client, self.tester, self.forge, self.platform, self.plans)

    def judging(self) -> AcceptanceNodes:
        """What says what done means, and whether it is."""
        return AcceptanceNodes(
            self.planner, self.check_writer, self.acceptance, self.descriptions, self.platform, self.forge
        )

    def reviewing(self) -> ReviewNodes:
        """What reads the change."""
        return ReviewNodes(self.reviewer, self.platform)


def build_langgraph_plugin(ports: Ports) -> LangGraphPlugin:
    """A fresh plugin over fresh graphs: each serves once."""
    devops = DevopsNodes(ports.forge, ports.plans, ports.platform, ports.target)
    graphs: dict[str, Topology] = {
        GraphName.ENGINEERING: build_engineering_graph(ports.engineering(), ports.judging(), ports.reviewing()),
        GraphName.DEVOPS: build_devops_graph(devops),
    }
    plugin = LangGraphPlugin(
        graphs={**graphs}, default_activity_options={"start_to_close_timeout": timedelta(minutes=5)}
    )
    plugin.interceptors = [*(plugin.interceptors or ()), GraphsOfRun(graphs)]
    return plugin


def build_activities(ports: Ports) -> list[Any]:
    """Every activity that is not a node of a graph."""
    projection = ProjectionActivities(ports.platform)
    repository = RepositoryActivities(ports.forge, ports.workspaces, ports.platform)
    agent = AgentActivities(ports.runtime, ports.platform)
    departments = DepartmentActivities(ports.workflow_client)
    devops = DevopsNodes(ports.forge, ports.plans, ports.platform, ports.target)
    maintenance = MaintenanceActivities(ports.platform, ports.workflow_client)
    backups = BackupActivities(ports.backups)
    providers = ProviderActivities(ports.providers, ports.credentials)
    return [
        projection.apply,
        repository.scaffold,
        repository.prepare,
        repository.write_file,
        repository.push,
        repository.take_up,
        repository.remove,
        agent.run_turn,
        agent.stop_turn,
        agent.control_turn,
        WorkerRecordActivities(ports.platform).record,
        agent.raise_budget,
        ports.engineering().stop_tests,
        ports.judging().stop_acceptance,
        ports.judging().stop_judge,
        ports.reviewing().stop_review,
        departments.close_worker,
        departments.join_deploy,
        departments.withdraw_deploy,
        devops.revert,
        devops.choose,
        devops.operate,
        PartsActivities(ports.planner, ports.platform).plan,
        maintenance.watch,
        maintenance.tidy,
        HealthActivities(ports.target, ports.platform).look,
        backups.make,
        backups.verify,
        providers.list_machines,
        providers.look,
        providers.order,
        providers.progress,
    ]


def build_workers(
    client: Client,
    ports: Ports,
    queues: Sequence[str] = Queue.ALL,
    *,
    max_cached_workflows: int = 1000,
    held: HeldSteps | None = None,
) -> list[Worker]:
    """One Temporal worker per queue; workflows run on `orchestrator` only. `held` notes what they do."""
    compile_workflows()
    plugin, translation = build_langgraph_plugin(ports), ErrorTranslation()
    return [
        Worker(
            client,
            task_queue=queue,
            workflows=WORKFLOWS if queue == Queue.ORCHESTRATOR else [],
            activities=build_activities(ports),
            plugins=[plugin],
            interceptors=[*([held] if held else []), translation],
            workflow_runner=build_runner(),
            workflow_failure_exception_types=WORKFLOW_FAILURES,
            max_cached_workflows=max_cached_workflows,
            max_concurrent_activities=_SLOTS.get(queue, _SLOTS[Queue.AGENTS]),
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            sticky_queue_schedule_to_start_timeout=_STICKY,
            max_heartbeat_throttle_interval=_HEARTBEAT_THROTTLE,
            default_heartbeat_throttle_interval=_HEARTBEAT_THROTTLE,
            graceful_shutdown_timeout=_GRACE,
        )
        for queue in queues
    ]
