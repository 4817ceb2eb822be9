"""The ports of an installation without Docker: local forge, supervised processes, Ansible on this machine."""

from temporalio.client import Client

from activities.adapters.agent_clis import AgentCli, ScriptedAgent
from activities.adapters.ansible_target import AnsibleProcessTarget
from activities.adapters.copier_scaffold import CopierScaffolder
from activities.adapters.local_forge import LocalBareForge
from activities.adapters.plan_reader import ForgePlanReader
from activities.adapters.process_agent import ProcessAgentRuntime
from activities.adapters.process_tester import ProcessTester
from activities.adapters.supervision import Supervisor
from activities.adapters.temporal_departments import TemporalDepartments
from activities.adapters.unprivileged import UnprivilegedUsers
from activities.adapters.workspaces import LocalWorkspaces
from contracts.names import Queue
from runtime.api_client import ApiClient
from runtime.artifacts import DirectoryArtifactStore
from runtime.settings import Settings
from workers.wiring import Ports


def build_ports(settings: Settings, client: Client, api: ApiClient) -> Ports:
    """Every port with its local adapter; makes no connection and no directory."""
    home = settings.home
    supervisor = Supervisor(settings.runs_dir)
    artifacts = DirectoryArtifactStore(settings.artifacts_dir)
    forge = LocalBareForge(settings.forge_dir, CopierScaffolder())
    # Real agents come with the model proxy: a model key never enters the place where an agent works.
    clis: list[AgentCli] = [ScriptedAgent(run_log=settings.logs_dir / "scripted-agent.jsonl")]
    agents = UnprivilegedUsers([settings.agents_dir, *(program for cli in clis for program in cli.programs)])
    workspaces_dir = settings.agents_dir / "workspaces"
    return Ports(
        forge=forge,
        workspaces=LocalWorkspaces(workspaces_dir, forge, agents, Queue.AGENTS),
        runtime=ProcessAgentRuntime(supervisor, settings.agents_dir / "homes", workspaces_dir, clis, agents, artifacts),
        tester=ProcessTester(
            supervisor, forge, home / "verifications", home / "caches", UnprivilegedUsers([home]), artifacts
        ),
        plans=ForgePlanReader(forge),
        target=AnsibleProcessTarget(home, artifacts),
        platform=api,
        departments=TemporalDepartments(client),
    )
