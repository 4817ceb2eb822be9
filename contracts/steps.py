"""Input and output of each activity: one model in, one model out."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from contracts.agent_workers import TurnOutcome
from contracts.artifacts import ArtifactRef
from contracts.base import CommitSha, Contract, Identifier, Text, UserId
from contracts.departments import RepositoryFullName
from contracts.models import ModelName
from contracts.project_settings import MAX_WATCH_S
from contracts.states import AgentKind, AgentProfile, DeployAction
from contracts.suite_figures import SuiteFigures

TESTS_CHECK = "tests"
"""The check without which nothing reaches a protected main branch: the project's own, run by the Tester."""

ACCEPTANCE_CHECK = "acceptance"
"""That the running service does what the wish asks for; not among the checks where that is only advice."""

MAX_START_LIMIT_S = 240
"""The longest that a service may take to start: a return to a release must fit into a step of the release program."""


class Step(Contract):
    """Crosses a workflow boundary only: it grows with defaults, and a field of a newer build is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ScaffoldResult(Step):
    """`adopted` says that an earlier run had already done it."""

    repo_full_name: RepositoryFullName
    commit: CommitSha
    template_version: str
    adopted: bool = False


class WorkspaceRequest(Step):
    """A clone of `repository` on `branch` for one agent worker, or an empty folder when there is no repository.

    Running it again keeps what is there.
    """

    worker_id: Identifier
    repository: RepositoryFullName | None = None
    branch: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9._/-]{0,150})?$")

    @model_validator(mode="after")
    def _has_both_or_none(self) -> Self:
        if (self.repository is None) != (self.branch == ""):
            raise ValueError("a clone needs a repository and a branch; a plain folder must have neither")
        return self


class WorkspaceReady(Step):
    """`base_commit` is where the work begins; None for a folder without a repository."""

    worker_id: str
    base_commit: CommitSha | None = None
    host_queue: str


class WorkspaceFile(Step):
    worker_id: Identifier
    path: str = Field(min_length=1, max_length=500)
    content: str = Field(max_length=100_000)


class WorkspacePush(Step):
    """With `expected`, a branch that has moved from there to what is not in the workspace's head is not overwritten."""

    worker_id: Identifier
    repository: RepositoryFullName
    branch: str
    base_commit: CommitSha
    expected: CommitSha | None = None


class PushedBranch(Step):
    """`commit` is what the remote answered after the push; `base_commit` when nothing was committed."""

    commit: CommitSha
    base_commit: CommitSha
    files_changed: list[str] = Field(default_factory=list)


class WorkspaceRemoval(Step):
    worker_id: Identifier


class Done(Step):
    """An effect without a result of its own."""

    ok: bool = True


class TurnRequest(Step):
    """One turn of a CLI agent. `timeout_s` is in seconds. `egress_hosts`: what it may reach, filled when it begins.

    `user_id` is whose task it is, `model` what a person has chosen for it. `login_volume` is a volume with the agent's
    own log-in: then the turn has no model of the platform's. `capabilities` and `profile` are its agent worker's.
    """

    worker_id: Identifier
    turn: int = Field(ge=1)
    request_id: str
    task_id: Identifier
    project_id: Identifier
    agent: AgentKind
    message: Text
    session_id: str | None = None
    timeout_s: int = Field(default=3600, ge=1)
    env_vars: dict[str, str] = Field(default_factory=dict)
    egress_hosts: list[str] = Field(default_factory=list)
    user_id: UserId | None = None
    model: ModelName | None = None
    login_volume: str | None = None
    capabilities: list[str] = Field(default_factory=list)
    profile: AgentProfile = AgentProfile.DEVELOPER


class TurnResult(Step):
    """`outcome.commit` is filled after the platform has pushed and compared the remote."""

    outcome: TurnOutcome


class VerificationRequest(Step):
    """Run the project's own checks at exactly `commit`, in a clean copy, without the agent."""

    task_id: Identifier
    project_id: Identifier
    repository: RepositoryFullName
    commit: CommitSha
    timeout_s: int = Field(default=1800, ge=1)


class VerificationResult(Step):
    """`failure_class`: code goes back to the Developer; infrastructure is retried, never shown to the agent.

    `fingerprint` names the failure, so that the same failure twice is recognised. `evidence` is bounded.
    `figures` are the project's own of its tests; None for results of before there were any.
    """

    commit: CommitSha
    passed: bool
    exit_code: int | None = None
    failure_class: Literal["code", "infrastructure"] | None = None
    fingerprint: str | None = None
    evidence: str = Field(default="", max_length=8_000)
    report: ArtifactRef | None = None
    duration_ms: int = 0
    figures: SuiteFigures | None = None


class Check(Step):
    """What was found out about exactly `commit`: what a hosting service shows as a check of a pull request."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    commit: CommitSha
    passed: bool


class PublishRequest(Step):
    """Bring `commit` of the work branch to the protected main branch. `summary` says what the work is.

    Main takes a commit only if each of `checks` is green and one of them is the project's own tests at this commit.
    """

    task_id: Identifier
    project_id: Identifier
    repository: RepositoryFullName
    branch: str
    commit: CommitSha
    base_commit: CommitSha
    summary: Text = ""
    checks: list[Check] = Field(default_factory=list, max_length=20)

    @property
    def may_reach_main(self) -> bool:
        tested = any(check.name == TESTS_CHECK and check.commit == self.commit for check in self.checks)
        return tested and all(check.passed for check in self.checks)


class PublishResult(Step):
    """status: published (the remote's main is `commit`), rebased (main had moved; `commit` is new on the task
    branch and must be verified again) or conflict (`conflict` lists the files)."""

    status: Literal["published", "rebased", "conflict"]
    commit: CommitSha
    files_changed: list[str] = Field(default_factory=list)
    conflict: list[str] = Field(default_factory=list)


class EnvEntry(Step):
    """One line of the typed environment contract `env.contract.yaml`."""

    name: str = Field(pattern=r"^[A-Z_][A-Z0-9_]{0,99}$")
    source: Literal["literal", "derived", "generated_secret", "user_secret", "allocation"]
    consumers: list[str] = Field(default_factory=list)
    required: bool = True
    value: str | None = Field(default=None, max_length=2_000)
    description: str = Field(default="", max_length=500)


class ServiceProcess(Step):
    """One module as it is started: argv, health path and what its body must contain.

    `migrate` is the argv that brings the project's data to what this commit expects; empty when there is none.
    `start_limit_s` says how many seconds it may take until its first good answer; None leaves that to the target. A
    body must contain `live_contains` only once the service is at its public address. Of a service that is `alone`
    never two run at once.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    command: list[str] = Field(min_length=1, max_length=30)
    health_path: str = Field(default="/health", max_length=200)
    health_contains: str = Field(default="", max_length=500)
    migrate: list[str] = Field(default_factory=list, max_length=30)
    start_limit_s: int | None = Field(default=None, ge=1, le=MAX_START_LIMIT_S)
    live_contains: str = Field(default="", max_length=500)
    alone: bool = False


class DeploymentPlan(Step):
    """What one commit needs to run: read from the commit itself, no values of secrets."""

    commit: CommitSha
    services: list[ServiceProcess]
    environment: list[EnvEntry]


class AnalysisRequest(Step):
    project_id: Identifier
    repository: RepositoryFullName
    commit: CommitSha | None = None


class SecretsCheck(Step):
    """Make sure that every secret of the plan has a value; generated ones are stored before first use."""

    project_id: Identifier
    entries: list[EnvEntry]


class SecretsReady(Step):
    """`missing` are names of user secrets without a value."""

    missing: list[str] = Field(default_factory=list)


class AllocationWish(Step):
    project_id: Identifier
    release_id: Identifier
    task_id: Identifier
    commit: CommitSha
    services: list[ServiceProcess]


class ServicePort(Step):
    service: str
    port: int = Field(ge=1, le=65535)


class Allocation(Step):
    """Where a project lives: the same answer for every repetition."""

    server_handle: Identifier
    server_ip: str
    ports: list[ServicePort]
    previous_release_id: str | None = None
    previous_commit: CommitSha | None = None


class ReleaseRequest(Step):
    """Put exactly this commit on the server and switch to it once its candidate has answered.

    `image` is the id of the image that was recorded for the release when it was deployed before.
    """

    project_id: Identifier
    project_name: str
    task_id: Identifier
    repository: RepositoryFullName
    release_id: Identifier
    plan: DeploymentPlan
    allocation: Allocation
    image: str | None = Field(default=None, max_length=100)
    timeout_s: int = Field(default=1800, ge=1)


class ReleaseOutcome(Step):
    """`switched` says whether the public address already points to the new release.

    `image` is the id of the container image that serves; None on a target without images. `taken_ports` are held by
    programs that are not part of the project. `serving` says, after a return to the previous release that failed, what
    was seen to serve. `still_built` are the releases of the project whose images its server has, if it has any.
    """

    ok: bool
    switched: bool = False
    image: str | None = None
    taken_ports: list[int] = Field(default_factory=list)
    error_code: str | None = None
    error: str | None = Field(default=None, max_length=4_000)
    log: ArtifactRef | None = None
    serving: str | None = Field(default=None, max_length=1_000)
    still_built: list[str] | None = Field(default=None, max_length=1_000)


class Serving(Step):
    """What was seen at a project's public address. `release_id` is the healthy release that answers there.

    `known` is False if its server did not answer, so that nothing is known; `answers` says whether anything does.
    """

    release_id: str | None = None
    known: bool = True
    answers: bool = False
    detail: str = Field(default="", max_length=500)


class ServiceSight(Step):
    """What was seen of one service: its state, its process, its restarts since it was started, what was wrong with
    it, and the link under which people reach it."""

    state: str = Field(default="absent", max_length=20)
    pid: int | None = None
    restarts: int = 0
    error: str | None = Field(default=None, max_length=2_000)
    link: str | None = Field(default=None, max_length=500)


class ProbeRequest(Step):
    """Ask from outside: 200, the expected body, the expected release, and no restart in between.

    With `watch_s` the services are watched for so many seconds; none may have restarted since it was `seen`. `live`
    asks of a service what it must do once it is live, such as reach Telegram; a watch always does.
    """

    project_id: Identifier
    project_name: str
    release_id: Identifier
    plan: DeploymentPlan
    allocation: Allocation
    watch_s: int = Field(default=0, ge=0, le=MAX_WATCH_S)
    seen: dict[str, ServiceSight] = Field(default_factory=dict)
    live: bool = False


class ProbeResult(Step):
    """`url` is the project's address, `services` has each of its services by name."""

    ok: bool
    url: str
    status_code: int | None = None
    restarts: int = 0
    error: str | None = Field(default=None, max_length=2_000)
    services: dict[str, ServiceSight] = Field(default_factory=dict)


class LookAfter(Step):
    """Look at what is deployed every `every_s` seconds for `stretch_s` seconds, at `at_once` releases at once."""

    every_s: float = Field(default=60.0, gt=0)
    stretch_s: float = Field(default=3_600.0, ge=0)
    at_once: int = Field(default=4, ge=1, le=50)


class LookedAfter(Step):
    """Of the last round: how many releases could be looked at, and how many of them have a service that is not well."""

    rounds: int = 0
    looked_at: int = 0
    unhealthy: int = 0


class ReleaseVerdict(Step):
    """Make a release the active one, or return to the previous one and record why."""

    project_id: Identifier
    project_name: str
    task_id: Identifier
    release_id: Identifier
    allocation: Allocation | None = None
    url: str | None = None
    switched: bool = False
    cancelled: bool = False
    rollback: bool = False
    commit: CommitSha | None = None
    previous_release_id: str | None = None
    error_code: str | None = None
    error: str | None = Field(default=None, max_length=4_000)
    log: ArtifactRef | None = None


class ReleaseChoice(Step):
    """What exactly a deploy or a rollback means.

    deploy: `commit`, or the head of main when it is None, under the id `release_id`. rollback: the recorded release
    `release_id`, or the one before the active one when it is None.
    """

    project_id: Identifier
    repository: RepositoryFullName
    action: DeployAction
    commit: CommitSha | None = None
    release_id: Identifier | None = None


class ChosenRelease(Step):
    release_id: Identifier
    commit: CommitSha


class OperationRequest(Step):
    """stop, restart or remove what a project has running."""

    project_id: Identifier
    project_name: str
    task_id: Identifier
    action: DeployAction


class OperationResult(Step):
    ok: bool
    url: str | None = None
    error: str | None = Field(default=None, max_length=4_000)
    log: ArtifactRef | None = None
