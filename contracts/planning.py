"""What a wish comes to: criteria before the work, checks of them after it, and what a project has promised before.

Checks are written from the wish and the API description of the running service, not from the code.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints

from contracts import ids
from contracts.acceptance import (
    MAX_CHECKS,
    MAX_CHECKS_BYTES,
    AcceptanceCheck,
    AcceptanceChecks,
    AcceptanceRequest,
    size_of,
)
from contracts.base import CommitSha, Contract, Identifier, Page, ShortText, UserId
from contracts.criteria import MAX_CRITERIA, Criteria, Criterion, Proof
from contracts.departments import RepositoryFullName
from contracts.errors import bounded, bounded_list
from contracts.models import ModelLimit, ModelName
from contracts.parts import MAX_PARTS, WorkPart
from contracts.project_spec import ProjectSpec
from contracts.states import AgentKind, CriterionState
from contracts.steps import Step
from contracts.wording import counted

MAX_KEPT = 200
"""Checks that one project keeps."""
MAX_API_DESCRIPTION = 400_000
"""Characters of an OpenAPI description; a longer one is not read."""
MAX_RUNS = 500
NOT_WRITTEN = "0" * 64
PROMISED = "promised-"
"""Before the number of what was promised earlier: such criteria are not of the wish that is judged."""

Run = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
Reason = Annotated[str, StringConstraints(max_length=500)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Judge(Step):
    """Who plans, writes checks or reviews: another turn than those of the Developer. `timeout_s`: seconds for one turn.

    `model` is one that a setting or a person names for it; None: the agent's own choice. `attempt`: how often a limit
    of the model has stopped judges of this task before; each attempt has turns of its own.
    """

    task_id: Identifier
    project_id: Identifier
    user_id: UserId | None = None
    agent: AgentKind = AgentKind.SCRIPTED
    timeout_s: int = Field(default=1_800, ge=1)
    attempt: int = Field(default=0, ge=0)
    model: ModelName | None = None

    def worker_id(self, role: str) -> str:
        """Its agent worker: named after the task and what it does."""
        return f"{ids.fitting(self.task_id, 80)}-{role}"


class AcceptanceStop(Step):
    """Stop what plans, writes or runs checks of a task. `request` without criteria: they are on record."""

    request: AcceptanceRequest
    judge: Judge


class Promise(Step):
    """What an earlier wish asked for and was shown to be there. `check_id` names the kept check."""

    check_id: Identifier
    sentence: ShortText
    words: str = Field(default="", max_length=500)


class PlanRequest(Step):
    """Turn the wish of `spec` into criteria. `promises`: what the project has promised so far."""

    judge: Judge
    spec: ProjectSpec
    promises: list[Promise] = Field(default_factory=list, max_length=MAX_KEPT)


class PartsRequest(Step):
    """Divide the wish of `spec` into parts, if it is a large one."""

    judge: Judge
    spec: ProjectSpec


class PartsPlan(Step):
    """Fewer than two `parts`: it is done in one piece. `limit`: a model's limit has stopped who divides."""

    parts: list[WorkPart] = Field(default_factory=list, max_length=MAX_PARTS)
    limit: ModelLimit | None = None


class Plan(Step):
    """`spec.acceptance` says what done means. `ignored`: words of the wish that no criterion stands for.

    `retires`: ids of kept checks whose promise the wish itself takes back.
    """

    spec: ProjectSpec
    ignored: list[Run] = Field(default_factory=list, max_length=MAX_RUNS)
    retires: list[Identifier] = Field(default_factory=list, max_length=MAX_KEPT)

    def fingerprint(self) -> str:
        """SHA-256 of what a person approves: the criteria, what is ignored, and what is taken back."""
        parts = [self.spec.fingerprint(), *self.ignored, "", *sorted(self.retires)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class CheckWriting(Step):
    """Write checks for the criteria of `spec`. `api_description`: OpenAPI of the running service as JSON, empty if it
    has none; None: nobody has looked yet. `is_first`: the project has promised nothing before."""

    judge: Judge
    spec: ProjectSpec
    api_description: str | None = Field(default=None, max_length=MAX_API_DESCRIPTION)
    is_first: bool = False

    def fingerprint(self) -> str:
        """What the checks are written from: the same again needs no other checks."""
        parts = [self.spec.fingerprint(), self.is_first, self.api_description]
        return hashlib.sha256(repr(parts).encode()).hexdigest()


class ReviewRequest(Step):
    """Read what `commit` changes against the task. `number`: the how manieth review of the task, from 1."""

    judge: Judge
    spec: ProjectSpec
    repository: RepositoryFullName
    commit: CommitSha
    number: int = Field(default=1, ge=1, le=100)


class ReviewStop(Step):
    """Stop the reviews of a task up to `number`."""

    judge: Judge
    number: int = Field(ge=1, le=100)


class WrittenChecks(Step):
    """`not_checkable`: criterion to the reason why no check can show it. `needs_description`: without a description of
    the API none could be written."""

    checks: AcceptanceChecks = Field(default_factory=list)
    not_checkable: dict[Identifier, Reason] = Field(default_factory=dict, max_length=MAX_CRITERIA)
    needs_description: bool = False


class ProposedChecks(WrittenChecks):
    """The checks of one task until its work is published. `written_from` is the fingerprint of their CheckWriting.

    `plan` is what they are written for; a later attempt at the same task takes both over. With the plan alone, before
    anything is written, `written_from` is NOT_WRITTEN.
    """

    written_from: Sha256
    criteria: Criteria = Field(default_factory=list)
    retires: list[Identifier] = Field(default_factory=list, max_length=MAX_KEPT)
    plan: Plan | None = None


class ProposedChecksBody(ProposedChecks):
    """As the body of a request: there a field that nobody knows is refused, not ignored as one of a newer build."""

    model_config = ConfigDict(extra="forbid")


class KeptCheck(Contract):
    """A check that runs at every later change of its project. `task_id` is the task that promised it."""

    check: AcceptanceCheck
    criterion: Criterion
    task_id: Identifier
    kept_at: AwareDatetime


class ProjectChecks(Contract):
    """What a project has promised, in the order in which it was; and what a task has proposed, if it has."""

    kept: list[KeptCheck] = Field(default_factory=list, max_length=MAX_KEPT)
    proposed: ProposedChecks | None = None


class KeepChecks(Contract):
    """`met`: the criteria whose checks are kept. `given_up`: kept checks that a person has given up with this work."""

    met: list[Identifier] = Field(default_factory=list, max_length=MAX_CRITERIA)
    given_up: list[Identifier] = Field(default_factory=list, max_length=MAX_KEPT)


class ChecksKept(Contract):
    """What a project now promises besides. `not_kept`: sentences of what was met and has no room; a repetition of the
    call has none."""

    not_kept: list[ShortText] = Field(default_factory=list, max_length=MAX_CHECKS)

    def told(self) -> str:
        """For people who read a result; empty if everything is kept."""
        if not self.not_kept:
            return ""
        shown = bounded_list(self.not_kept, size=1_000)
        more = " …" if len(shown) < len(self.not_kept) else ""
        return (
            f"The project has {MAX_KEPT} checks already (drop some with `orchestrator project checks drop`). "
            f"Later changes are not checked for this: {'; '.join(shown)}{more}"
        )


class KeptCheckDTO(Contract):
    """A kept check as people see it. `dropped_by` says who has dropped it, when."""

    id: Identifier
    title: ShortText
    sentence: ShortText
    words: str = ""
    kinds: list[str]
    task_id: Identifier
    kept_at: AwareDatetime
    dropped_by: UserId | None = None
    dropped_at: AwareDatetime | None = None


class KeptCheckList(Page):
    items: list[KeptCheckDTO]


def within_reach(proposed: AcceptanceChecks, kept: list[KeptCheck], retired: list[str]) -> list[KeptCheck]:
    """The kept checks that run beside new ones: not those that these replace, and as many as fit, oldest first."""
    size = size_of(proposed)
    found: list[KeptCheck] = []
    for one in still_promised(proposed, kept, retired):
        grown = size + size_of([one.check])
        if len(proposed) + len(found) < MAX_CHECKS and grown <= MAX_CHECKS_BYTES:
            found.append(one)
            size = grown
    return found


def still_promised(proposed: AcceptanceChecks, kept: list[KeptCheck], retired: list[str]) -> list[KeptCheck]:
    """The kept checks that new ones do not replace."""
    replaced = {check.id for check in proposed} | set(retired)
    return [one for one in kept if one.check.id not in replaced]


def unchecked(left_out: Sequence[KeptCheck]) -> list[Criterion]:
    """What is said of promises for which a run had no room: one criterion, or none."""
    if not left_out:
        return []
    sentences = list(dict.fromkeys(one.criterion.sentence for one in left_out))
    told = bounded_list(sentences, size=800)
    more = f"; and {len(sentences) - len(told)} more" if len(told) < len(sentences) else ""
    text = f"One run had no room for {counted(len(left_out), 'check')} of these: {'; '.join(told)}{more}."
    sentence = f"Not checked of what was promised earlier: {counted(len(sentences), 'promise')}."
    proof = Proof(reference="promises", text=bounded(text, 1_000))
    return [Criterion(id=f"{PROMISED}unchecked", sentence=sentence, state=CriterionState.NOT_CHECKABLE, proof=proof)]
