"""A project's settings, with the installation's as their defaults.

A setting is a field of `ProjectSettings`: its name, type, default and meaning are here and nowhere else.
"""

import json
import re
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, ValidationError

from contracts.base import Contract, Page, ShortText, UserId
from contracts.errors import ErrorCode, OrchestratorError
from contracts.models import ModelName
from contracts.states import AcceptanceMode, AgentKind, PlanApproval, ReviewMode
from contracts.wording import in_words

_HOST = re.compile(r"\*|(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,198}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")

MAX_WATCH_S = 600
"""The longest watch of a release, in seconds."""

Budget = Annotated[float | None, Field(ge=0, le=1_000_000, allow_inf_nan=False)]

SettingValue = bool | int | float | str | list[str] | None
"""A value as JSON has it, of whatever setting."""


class ProjectSettings(Contract):
    """The settings that apply to one project now. Times are in seconds, money is in US dollars."""

    approve_deploys: bool = Field(default=False, description="ask for approval before a release goes online")
    agent: AgentKind = Field(default=AgentKind.SCRIPTED, description="the agent that writes the code")
    watch_s: int = Field(
        default=20,
        ge=0,
        le=MAX_WATCH_S,
        description="how many seconds a new release is watched at its address before it counts as live; 0: not at all",
    )
    max_rounds: int = Field(
        default=3, ge=1, le=10, description="how many attempts the agent has before a person is asked"
    )
    turn_timeout_s: int = Field(
        default=3600, ge=1, le=86_400, description="how many seconds one turn of an agent may take"
    )
    question_reminder_s: int = Field(
        default=86_400, ge=60, le=31_536_000, description="after how many seconds an open question is repeated"
    )
    acceptance: AcceptanceMode = Field(
        default=AcceptanceMode.BINDING,
        description="whether the running service is checked against the description before it is published: off, "
        "advisory (what was missed is shown) or binding (it goes back to the agent)",
    )
    plan_approval: PlanApproval = Field(
        default=PlanApproval.OFF, description="whether a person approves the plan before anything is built: off or ask"
    )
    review: ReviewMode = Field(
        default=ReviewMode.OFF,
        description="whether another agent reads the change against the description: off, advisory (what it finds is "
        "shown) or binding (its objections go back to the agent once, then to a person)",
    )
    reviewer: AgentKind | None = Field(
        default=None, description="the agent that reviews; null: the one that writes the code, in a turn of its own"
    )
    review_model: ModelName | None = Field(
        default=None, description="the model that reviews; null: the reviewing agent's own choice"
    )
    model: ModelName | None = Field(
        default=None, description="the model that agents use for the work; null: the agent's own choice"
    )
    side_model: ModelName | None = Field(
        default=None, description="the model for an agent's small requests, such as titles; null: the agent's choice"
    )
    turn_budget_usd: Budget = Field(default=None, description="what one turn of an agent may spend; null: no limit")
    task_budget_usd: Budget = Field(default=10.0, description="what the agents of one task may spend; null: no limit")
    project_budget_usd: Budget = Field(default=None, description="what agents may spend in all; null: no limit")
    monthly_budget_usd: Budget = Field(
        default=None,
        description="what agents may spend in a calendar month (UTC): a project's value for the project, the "
        "installation's for all projects together; null: no limit",
    )
    cheaper_model: ModelName | None = Field(
        default=None, description="the model that a person can change to when a budget is nearly spent; null: none"
    )
    fallback_agents: list[AgentKind] = Field(
        default_factory=list,
        max_length=10,
        description="agents that take over, in this order, at a usage limit or an outage of a model's vendor",
    )
    wait_for_limits: bool = Field(
        default=True, description="wait for a usage window to open again, and go on without asking"
    )
    egress_hosts: list[ShortText] = Field(
        default_factory=list,
        max_length=100,
        description="hosts that agents may reach: names, `*.example.org` for all below one, `*` for the whole internet",
    )
    retention_days: int | None = Field(
        default=None, ge=1, le=36_500, description="how many days transcripts, logs and reports are kept; null: forever"
    )


NOT_YET_READ: frozenset[str] = frozenset()
"""These can be set but are not used yet."""


class EgressHosts(Contract):
    """What the agents of a project may reach now."""

    hosts: list[str]


class SettingWrite(Contract):
    """`value` is that of the field of ProjectSettings with the setting's name; null removes it."""

    value: SettingValue


class SettingDTO(Contract):
    """A setting as it applies. `source` says where the value comes from; the last three say who set it, and when."""

    name: str
    value: SettingValue
    description: str
    source: Literal["project", "installation", "default"]
    in_use: bool
    version: int | None = None
    changed_by: UserId | None = None
    changed_at: AwareDatetime | None = None


class SettingList(Contract):
    items: list[SettingDTO]


class SettingVersion(Contract):
    """One change of a setting; null removed the value."""

    version: int
    value: SettingValue
    changed_by: UserId
    changed_at: AwareDatetime


class SettingHistory(Page):
    """The versions of one setting, newest first."""

    name: str
    items: list[SettingVersion]


def check_name(name: str) -> None:
    """Raises UNKNOWN_SETTING if there is no such setting."""
    if name not in ProjectSettings.model_fields:
        known = ", ".join(ProjectSettings.model_fields)
        raise OrchestratorError(ErrorCode.UNKNOWN_SETTING, f"There is no such setting. Choose one of: {known}.")


def check_value(name: str, value: SettingValue) -> None:
    """Raises UNKNOWN_SETTING, or BAD_SETTING_VALUE for a value that this setting cannot have."""
    check_name(name)
    try:
        ProjectSettings.model_validate_json(json.dumps({name: value}), strict=True)
    except ValidationError as error:
        said = "; ".join(in_words(problem) for problem in error.errors(include_url=False, include_input=False))
        raise OrchestratorError(ErrorCode.BAD_SETTING_VALUE, f"{name} cannot have this value: {said}.") from None
    if name == "egress_hosts" and isinstance(value, list) and not all(_HOST.fullmatch(one) for one in value):
        reason = "use names of hosts, such as example.net, *.example.org for all below one, or * for the whole internet"
        raise OrchestratorError(ErrorCode.BAD_SETTING_VALUE, f"{name} cannot have this value: {reason}.")
