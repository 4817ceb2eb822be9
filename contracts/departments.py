"""Messages to the departments and their results."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.artifacts import ArtifactRef
from contracts.base import BaseMessage, BaseResult, CommitSha, Identifier, Text, UserId
from contracts.criteria import Criteria
from contracts.memory import MemoryToWrite
from contracts.models import ModelName
from contracts.parts import MAX_PARTS, PartDone, PartOf, WorkPart
from contracts.project_settings import MAX_WATCH_S
from contracts.project_spec import ProjectName, ProjectSlug, ProjectSpec
from contracts.retries import OptionalStep, WorkDone
from contracts.reviews import Review
from contracts.states import AcceptanceMode, AgentKind, DeployAction, PlanApproval, ReleaseState, ReviewMode
from contracts.suite_figures import SuiteFigures

RepositoryFullName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]{0,99}/[A-Za-z0-9][\w.-]{0,99}$")]
"""`org/name`, as the project's row names it. Messages carry it; nobody makes it from other names."""
SecretRef = Annotated[str, StringConstraints(pattern=r"^secret://[A-Za-z0-9._/-]{1,300}$")]
"""A reference to a value in the secret store, never the value."""


class EngineeringMessage(BaseMessage):
    """One wish to one verified commit. Input of workflow `engineering`.

    Messages of before there was acceptance have it off: what they began goes on without. The workflow
    `parent_workflow_id` is told when a question is asked and closed. At a limit of a model,
    `fallback_agents` take over in their order, `cheaper_model` is what a person can change to, and `wait_for_limits`
    says whether a usage window is waited out without asking. `done` is what an earlier attempt has finished, `advice`
    what a person has said since. `part` is set for a part of a larger wish.
    """

    task_id: Identifier
    project_id: Identifier
    user_id: UserId
    title: str | None = Field(default=None, max_length=200)
    spec: ProjectSpec | None = None
    spec_ref: ArtifactRef | None = None
    reply_to: str | None = None
    project_name: ProjectName | None = None
    repository: RepositoryFullName | None = None
    parent_task_id: Identifier | None = None
    parent_workflow_id: str | None = Field(default=None, max_length=300)
    agent: AgentKind = AgentKind.SCRIPTED
    max_rounds: int = Field(default=3, ge=1, le=10)
    turn_timeout_s: int = Field(default=3600, ge=1, le=86_400)
    question_reminder_s: int = Field(default=86_400, ge=1)
    acceptance: AcceptanceMode = AcceptanceMode.OFF
    plan_approval: PlanApproval = PlanApproval.OFF
    model: ModelName | None = None
    cheaper_model: ModelName | None = None
    fallback_agents: list[AgentKind] = Field(default_factory=list, max_length=10)
    wait_for_limits: bool = True
    done: WorkDone | None = None
    advice: Text = ""
    skip: list[OptionalStep] = Field(default_factory=list, max_length=10)
    part: PartOf | None = None
    review: ReviewMode = ReviewMode.OFF
    reviewer: AgentKind | None = None
    review_model: ModelName | None = None


class EngineeringResult(BaseResult):
    files_changed: list[str] = Field(default_factory=list)
    commit_sha: CommitSha | None = None
    branch: str | None = None
    error_code: str | None = None
    summary: str | None = None
    criteria: Criteria = Field(default_factory=list)
    screenshots: list[str] = Field(default_factory=list, max_length=20)
    review: Review | None = None
    figures: SuiteFigures | None = None


class DeployMessage(BaseMessage):
    """One commit to one live URL, or another action on what is deployed. Input of workflow `deploy`.

    The workflow `parent_workflow_id` is told when a question is asked and closed. A new release is watched for
    `watch_s` seconds before it counts as live; 0 for messages of before there was a watch.
    """

    task_id: Identifier
    project_id: Identifier
    user_id: UserId
    action: DeployAction = DeployAction.DEPLOY
    commit: CommitSha | None = None
    release_id: Identifier | None = None
    project_name: ProjectName | None = None
    project_slug: ProjectSlug | None = None
    repository: RepositoryFullName | None = None
    parent_task_id: Identifier | None = None
    parent_workflow_id: str | None = Field(default=None, max_length=300)
    require_approval: bool = False
    question_reminder_s: int = Field(default=86_400, ge=1)
    watch_s: int = Field(default=0, ge=0, le=MAX_WATCH_S)


class DeployResult(BaseResult):
    deployed_url: str | None = None
    server_ip: str | None = None
    port: int | None = None
    commit_sha: CommitSha | None = None
    release_id: str | None = None
    release_state: ReleaseState | None = None
    error_code: str | None = None
    summary: str | None = None
    links: dict[str, str] = Field(default_factory=dict)


class DeliveryMessage(BaseMessage):
    """One wish to one URL: engineering, then deploy. Input of workflow `delivery`.

    Most fields are for its engineering; if `done` is published, it goes straight to the deploy. With `in_parts` a large
    wish is divided; `parts` are those that an earlier attempt had, and `parts_done` what it has finished of them.
    """

    task_id: Identifier
    project_id: Identifier
    user_id: UserId
    project_name: ProjectName
    project_slug: ProjectSlug
    repository: RepositoryFullName | None = None
    title: str | None = Field(default=None, max_length=200)
    spec: ProjectSpec
    agent: AgentKind = AgentKind.SCRIPTED
    max_rounds: int = Field(default=3, ge=1, le=10)
    require_approval: bool = False
    turn_timeout_s: int = Field(default=3600, ge=1, le=86_400)
    question_reminder_s: int = Field(default=86_400, ge=1)
    watch_s: int = Field(default=0, ge=0, le=MAX_WATCH_S)
    acceptance: AcceptanceMode = AcceptanceMode.OFF
    plan_approval: PlanApproval = PlanApproval.OFF
    model: ModelName | None = None
    cheaper_model: ModelName | None = None
    fallback_agents: list[AgentKind] = Field(default_factory=list, max_length=10)
    wait_for_limits: bool = True
    done: WorkDone | None = None
    advice: Text = ""
    skip: list[OptionalStep] = Field(default_factory=list, max_length=10)
    in_parts: bool = False
    parts: list[WorkPart] = Field(default_factory=list, max_length=MAX_PARTS)
    parts_done: list[PartDone] = Field(default_factory=list, max_length=MAX_PARTS)
    review: ReviewMode = ReviewMode.OFF
    reviewer: AgentKind | None = None
    review_model: ModelName | None = None


class DeliveryResult(BaseResult):
    deployed_url: str | None = None
    commit_sha: CommitSha | None = None
    release_id: str | None = None
    error_code: str | None = None
    summary: str | None = None
    links: dict[str, str] = Field(default_factory=dict)
    criteria: Criteria = Field(default_factory=list)


class ScaffolderMessage(BaseMessage):
    """`branch` is where modules are added that the project does not have yet, and what its memory has got since;
    without it neither is.
    """

    project_id: Identifier
    repo_full_name: RepositoryFullName
    project_name: str
    modules: list[str]
    description: Text = ""
    branch: str = Field(default="", max_length=200)
    memory: MemoryToWrite | None = None


class ProvisionerMessage(BaseMessage):
    server_handle: Identifier
    force_reinstall: bool = False
    is_recovery: bool = False


class ProvisionerResult(BaseResult):
    server_handle: str
    server_ip: str | None = None
    services_redeployed: int = 0
    errors: list[str] | None = None


class AnsibleDeployMessage(BaseMessage):
    job_type: Literal["deploy"] = "deploy"
    project_id: Identifier
    project_name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    repo_full_name: RepositoryFullName
    server_ip: str
    port: int = Field(ge=1, le=65535)
    modules: list[str] | None = None
    github_token_ref: SecretRef
    secrets_ref: SecretRef


class AnsibleDeployResult(BaseResult):
    deployed_url: str | None = None
    server_ip: str | None = None
    port: int | None = None
    stdout: str | None = None
    stderr: str | None = None
    exit_code: int | None = None
