"""The ports of one machine: local forge, agents and tests in containers or as processes, Ansible."""

from dataclasses import dataclass
from pathlib import Path

import structlog
from temporalio.client import Client

from activities.adapters.agent_clis import AgentCli, ScriptedAgent
from activities.adapters.container_runs import ContainerRuns
from activities.adapters.copier_scaffold import CopierScaffolder
from activities.adapters.docker_agent import DockerAgentRuntime
from activities.adapters.docker_engine import DockerContainerEngine, obstacle
from activities.adapters.docker_images import BASE_IMAGE, DockerImages
from activities.adapters.docker_tester import DockerTester
from activities.adapters.docker_workspaces import DockerWorkspaces
from activities.adapters.local_forge import LocalBareForge
from activities.adapters.plan_reader import ForgePlanReader
from activities.adapters.process_agent import ProcessAgentRuntime
from activities.adapters.process_tester import ProcessTester
from activities.adapters.supervision import Supervisor
from activities.adapters.temporal_departments import TemporalDepartments
from activities.adapters.unprivileged import UnprivilegedUsers
from activities.adapters.workspaces import LocalWorkspaces
from activities.ports import AgentRuntime, Tester, Workspaces
from contracts.errors import ErrorCode, OrchestratorError
from contracts.names import Queue
from runtime.api_client import ApiClient
from runtime.artifacts import DirectoryArtifactStore
from runtime.settings import Settings
from workers.targets import build_target
from workers.wiring import Ports

log = structlog.get_logger(__name__)

_SCRIPTED_AGENT_IN_IMAGE = Path("/opt/scripted_agent")
_PYTHON_IN_IMAGE = Path("/usr/bin/python3")
_ANSWER_S = 1.0


@dataclass(frozen=True)
class Places:
    """Where agents work and tests run."""

    workspaces: Workspaces
    runtime: AgentRuntime
    tester: Tester


def build_ports(settings: Settings, client: Client, api: ApiClient) -> Ports:
    """Every port with its local adapter. Asks the Docker Engine for at most a second whether it can be used."""
    artifacts = DirectoryArtifactStore(settings.artifacts_dir)
    forge = LocalBareForge(settings.forge_dir, CopierScaffolder())
    in_containers = uses_docker(settings)
    build = containers if in_containers else processes
    places = build(settings, forge, artifacts)
    return Ports(
        forge=forge,
        workspaces=places.workspaces,
        runtime=places.runtime,
        tester=places.tester,
        plans=ForgePlanReader(forge),
        target=build_target(settings, artifacts, api, in_containers=in_containers),
        platform=api,
        departments=TemporalDepartments(client),
    )


def uses_docker(settings: Settings) -> bool:
    """Whether agents and tests get containers; says so in the log, with the reason.

    Raises OrchestratorError SETTINGS_INVALID when containers are asked for and cannot be had.
    """
    if settings.runtime == "process":
        log.info("agents and tests run as processes", reason="ORCHESTRATOR_RUNTIME=process")
        return False
    problem = obstacle(BASE_IMAGE, timeout_s=_ANSWER_S)
    if problem is None:
        log.info("agents and tests run in containers", reason=f"the Docker Engine answers and has {BASE_IMAGE}")
        return True
    if settings.runtime == "docker":
        raise OrchestratorError(
            ErrorCode.SETTINGS_INVALID, f"ORCHESTRATOR_RUNTIME is docker, but {problem}. Run: make docker"
        )
    log.info("agents and tests run as processes", reason=problem)
    return False


def processes(settings: Settings, forge: LocalBareForge, artifacts: DirectoryArtifactStore) -> Places:
    """Supervised processes of this machine."""
    home, supervisor = settings.home, Supervisor(settings.runs_dir)
    # Real agents come with the model proxy: a model key never enters the place where an agent works.
    clis: list[AgentCli] = [ScriptedAgent(run_log=settings.logs_dir / "scripted-agent.jsonl")]
    agents = UnprivilegedUsers([settings.agents_dir, *(program for cli in clis for program in cli.programs)])
    workspaces_dir = settings.agents_dir / "workspaces"
    return Places(
        LocalWorkspaces(workspaces_dir, forge, agents, Queue.AGENTS),
        ProcessAgentRuntime(supervisor, settings.agents_dir / "homes", workspaces_dir, clis, agents, artifacts),
        ProcessTester(supervisor, forge, home / "verifications", home / "caches", UnprivilegedUsers([home]), artifacts),
    )


def containers(settings: Settings, forge: LocalBareForge, artifacts: DirectoryArtifactStore) -> Places:
    """Containers of this machine's engine; the image is built when it is first needed."""
    engine = DockerContainerEngine()
    runs = ContainerRuns(engine, settings.containers_dir / "runs")
    images = DockerImages(engine, settings.containers_dir / "locks")
    clis: list[AgentCli] = [ScriptedAgent(_SCRIPTED_AGENT_IN_IMAGE, _PYTHON_IN_IMAGE)]
    return Places(
        DockerWorkspaces(runs, images, forge, settings.containers_dir / "workspaces", Queue.AGENTS),
        DockerAgentRuntime(runs, images, clis, artifacts),
        DockerTester(runs, images, forge, settings.containers_dir / "verifications", artifacts),
    )
