"""The ports of one machine: a forge, agents and tests in containers or as processes, Ansible."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr
from temporalio.client import Client

from activities.adapters.acceptance.containers import DockerAcceptance
from activities.adapters.acceptance.processes import ProcessAcceptance
from activities.adapters.agents.wrapped import MODEL_PLACE
from activities.adapters.backups import InstallationBackups
from activities.adapters.containers.agent import DockerAgentRuntime
from activities.adapters.containers.engine import Bind, DockerContainerEngine, obstacle
from activities.adapters.containers.images import BASE_IMAGE, DockerImages
from activities.adapters.containers.package_volumes import PackageVolumes
from activities.adapters.containers.runs import ContainerRuns
from activities.adapters.containers.tester import DockerTester
from activities.adapters.containers.workspaces import DockerWorkspaces
from activities.adapters.planning.by_agent import by_agent
from activities.adapters.planning.descriptions import AskedDescriptions
from activities.adapters.planning.judging_turns import JudgingTurns
from activities.adapters.planning.kept_answers import KeptAnswers
from activities.adapters.planning.reviewer import AgentReviewer
from activities.adapters.playbooks.by_server import build_target
from activities.adapters.process.agent import ProcessAgentRuntime
from activities.adapters.process.package_caches import PackageCaches
from activities.adapters.process.tester import ProcessTester
from activities.adapters.process.workspaces import LocalWorkspaces
from activities.adapters.providers.local import LocalMachines
from activities.adapters.providers.static import StaticMachines
from activities.adapters.providers.time4vps import Time4VpsMachines
from activities.adapters.providers.time4vps_api import Time4VpsApi, Time4VpsLogin
from activities.adapters.release.plan_reader import ForgePlanReader
from activities.adapters.runs.supervisor import Supervisor
from activities.adapters.runs.users import UnprivilegedUsers
from activities.adapters.servers.container import LocalServers
from activities.adapters.workflow_client import TemporalWorkflowClient
from activities.ports import Acceptance, AgentRuntime, Forge, ServerProvider, Tester, Workspaces
from contracts.errors import ErrorCode, OrchestratorError
from contracts.names import Queue
from contracts.states import ProviderKind
from runtime.artifacts import DirectoryArtifactStore
from runtime.runtime_report import RuntimeReport
from runtime.servers_client import ServersApi
from runtime.settings import Settings
from workers.agents import agents_here, agents_in_images
from workers.forges import build_forge
from workers.wiring import Ports

_ANSWER_S = 1.0


@dataclass(frozen=True)
class Choice:
    """Whether agents and tests get containers, and why."""

    in_containers: bool
    reason: str


@dataclass(frozen=True)
class AgentEnvironment:
    """Where agents work, tests run, and services are checked."""

    workspaces: Workspaces
    runtime: AgentRuntime
    tester: Tester
    acceptance: Acceptance


def build_ports(settings: Settings, client: Client, api: ServersApi, *, in_containers: bool) -> Ports:
    """Every port with its local adapter."""
    artifacts = DirectoryArtifactStore(settings.artifacts_dir)
    forge = build_forge(settings)
    build = containers if in_containers else processes
    environment = build(settings, forge, artifacts)
    answers = KeptAnswers(_answers_dir(settings, in_containers=in_containers))
    turns = JudgingTurns(environment.runtime, environment.workspaces, api, answers)
    planner, check_writer = by_agent(turns)
    return Ports(
        forge=forge,
        workspaces=environment.workspaces,
        runtime=environment.runtime,
        tester=environment.tester,
        plans=ForgePlanReader(forge),
        target=build_target(settings, artifacts, forge, api, in_containers=in_containers),
        platform=api,
        workflow_client=TemporalWorkflowClient(client),
        planner=planner,
        check_writer=check_writer,
        acceptance=environment.acceptance,
        descriptions=AskedDescriptions(environment.acceptance, artifacts),
        reviewer=AgentReviewer(turns, forge),
        backups=InstallationBackups(settings),
        providers=providers(settings, api),
        credentials=api,
    )


def providers(settings: Settings, api: ServersApi) -> dict[ProviderKind, ServerProvider]:
    """Who has machines. The login at a vendor is asked for with each request: it may have been stored meanwhile."""

    async def login() -> Time4VpsLogin:
        found = await api.provider_login(ProviderKind.TIME4VPS)
        return Time4VpsLogin(found.username, SecretStr(found.password))

    return {
        ProviderKind.STATIC: StaticMachines(api),
        ProviderKind.TIME4VPS: Time4VpsMachines(Time4VpsApi(settings.time4vps_url, login)),
        ProviderKind.LOCAL: LocalMachines(LocalServers(settings.home), settings.home / "servers" / "orders"),
    }


def choose(settings: Settings, queues: Sequence[str] = Queue.ALL) -> Choice:
    """Containers or processes. Asks the Docker Engine for at most a second whether it can be used.

    Not asked when nothing on `queues` needs one: then there may be none where this process runs.

    With `auto` open work stays where it began: an engine that is down for a while is waited for, and processes are
    left only when no agent works in them. Raises OrchestratorError SETTINGS_INVALID when containers are asked for
    and cannot be had.
    """
    if settings.runtime == "process":
        return Choice(False, "ORCHESTRATOR_RUNTIME=process")
    if not _needs_engine(settings, queues):
        return Choice(False, "no queue of this process needs Docker")
    problem = obstacle(BASE_IMAGE, timeout_s=_ANSWER_S)
    before = RuntimeReport.read(settings.runtime_report_file)
    if problem is None:
        return _containers_if_free(settings, before)
    if before is not None and before.work == "containers":
        return Choice(True, f"as before, but {problem}; ORCHESTRATOR_RUNTIME=process works without")
    if settings.runtime == "docker":
        raise OrchestratorError(
            ErrorCode.SETTINGS_INVALID, f"ORCHESTRATOR_RUNTIME is docker, but {problem}. Run: make docker"
        )
    return Choice(False, problem)


def _needs_engine(settings: Settings, queues: Sequence[str]) -> bool:
    """Agents and tests do, and deploys to a server in a container of this machine."""
    return Queue.AGENTS in queues or (Queue.INFRA in queues and settings.server is None)


def _containers_if_free(settings: Settings, before: RuntimeReport | None) -> Choice:
    if settings.runtime == "auto" and before is not None and before.work == "processes" and _has_workspaces(settings):
        return Choice(False, "agents are still working in processes; the first start after they end uses containers")
    return Choice(True, f"the Docker Engine answers and has {BASE_IMAGE}")


def _has_workspaces(settings: Settings) -> bool:
    directory = _workspaces_dir(settings)
    return directory.is_dir() and any(one.is_dir() and not one.name.startswith(".") for one in directory.iterdir())


def root_reason(settings: Settings) -> str | None:
    """Why work in processes runs as root; None when it does not."""
    return UnprivilegedUsers(settings.home, _programs(settings)).obstacle() if os.geteuid() == 0 else None


def _programs(settings: Settings) -> list[Path]:
    return [program for cli in agents_here(settings) for program in cli.programs]


def _workspaces_dir(settings: Settings) -> Path:
    return settings.agents_dir / "workspaces"


def _answers_dir(settings: Settings, *, in_containers: bool) -> Path:
    """What planners, writers of checks and reviewers have answered, beside the verdicts of acceptances."""
    return (settings.containers_dir if in_containers else settings.home) / "answers"


def _own_hosts(settings: Settings) -> tuple[str, ...]:
    """Names and addresses of this machine, of which agents reach no port."""
    public = urlsplit(settings.public_url).hostname if settings.public_url else None
    return tuple(host for host in (settings.public_host, public) if host)


def _model_place(settings: Settings) -> Bind:
    """Where the socket of the model proxy is: a volume with Compose, where no path of this process is one of the
    engine's, else its directory, which is there before the proxy: no container must make it."""
    if settings.model_volume is not None:
        return Bind(settings.model_volume, MODEL_PLACE, read_only=True)
    directory = settings.model_socket.parent
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    return Bind(str(directory), MODEL_PLACE, read_only=True, host_path=True)


def processes(settings: Settings, forge: Forge, artifacts: DirectoryArtifactStore) -> AgentEnvironment:
    """Supervised processes of this machine."""
    home, supervisor = settings.home, Supervisor(settings.runs_dir)
    clis = agents_here(settings)
    agents = UnprivilegedUsers(home, _programs(settings))
    workspaces_dir = _workspaces_dir(settings)
    return AgentEnvironment(
        LocalWorkspaces(workspaces_dir, forge, agents, Queue.AGENTS, supervisor),
        ProcessAgentRuntime(
            supervisor,
            settings.agents_dir / "homes",
            workspaces_dir,
            clis,
            agents,
            artifacts,
            trusts_models=settings.trust_processes,
        ),
        ProcessTester(supervisor, forge, home / "verifications", home / "caches", UnprivilegedUsers(home), artifacts),
        ProcessAcceptance(
            supervisor,
            PackageCaches(supervisor, home / "caches"),
            forge,
            ForgePlanReader(forge),
            home / "acceptances",
            UnprivilegedUsers(home),
            artifacts,
        ),
    )


def containers(settings: Settings, forge: Forge, artifacts: DirectoryArtifactStore) -> AgentEnvironment:
    """Containers of this machine's engine; the image is built when it is first needed."""
    engine = DockerContainerEngine()
    runs = ContainerRuns(engine, settings.containers_dir / "runs")
    images = DockerImages(engine, settings.containers_dir / "locks")
    verifications = settings.containers_dir / "verifications"
    workspaces = DockerWorkspaces(runs, images, forge, settings.containers_dir / "workspaces", Queue.AGENTS)
    return AgentEnvironment(
        workspaces,
        DockerAgentRuntime(
            runs,
            images,
            agents_in_images(),
            artifacts,
            own_hosts=_own_hosts(settings),
            restore=workspaces.restore,
            model_place=_model_place(settings),
        ),
        DockerTester(runs, images, forge, verifications, artifacts),
        DockerAcceptance(
            runs,
            images,
            # The packages of the tests: whoever builds them holds the same lock.
            PackageVolumes(runs, verifications / ".locks"),
            forge,
            ForgePlanReader(forge),
            settings.containers_dir / "acceptances",
            artifacts,
        ),
    )
