"""Going on with a task that has failed or was stopped: what is changed, and what is done already.

A retry is a task of its own, with names of its own for all it starts. What the earlier one has finished it takes over
as facts: commits, and what the tests said of them.
"""

from typing import Literal

from pydantic import Field

from contracts.base import CommitSha, Contract, Identifier, Text
from contracts.criteria import Criteria
from contracts.models import ModelName
from contracts.project_spec import ProjectSpec
from contracts.states import AgentKind
from contracts.suite_figures import LINES_COVERED, MOST_TESTS, TESTS, SuiteFigures, figures_in

OptionalStep = Literal["review"]
"""A step that a person can leave out."""

Facts = dict[str, str | int | None]

_PREFIX = "kept_"
_KEPT = ("branch", "base_commit", "commit", "tested", "verified", "plan_of", "approved_plan", TESTS, LINES_COVERED)


class WorkDone(Contract):
    """What an earlier attempt at the same work has finished.

    `base_commit` is what its work began from: the project is scaffolded. `commit` is the newest commit of its branch,
    `verified` says that the project's own checks were green at it, and `published` that main has it. `plan_of` is the
    task with which the plan is kept, `approved_plan` the fingerprint of the plan that a person has approved. `tests`
    and `lines_covered_permille` are the figures of a verified commit, as in `SuiteFigures`.
    """

    task_id: Identifier
    branch: str = Field(min_length=1, max_length=200)
    base_commit: CommitSha | None = None
    commit: CommitSha | None = None
    tested: bool = False
    verified: bool = False
    published: bool = False
    plan_of: Identifier | None = None
    approved_plan: str | None = Field(default=None, max_length=64)
    summary: str = Field(default="", max_length=2_000)
    criteria: Criteria = Field(default_factory=list)
    tests: int | None = Field(default=None, ge=0, le=MOST_TESTS)
    lines_covered_permille: int | None = Field(default=None, ge=0, le=1000)

    @property
    def figures(self) -> SuiteFigures | None:
        """What the tests of the verified commit said in figures; None if nothing is known."""
        if self.tests is None and self.lines_covered_permille is None:
            return None
        return SuiteFigures(executed=self.tests, lines_covered_permille=self.lines_covered_permille)


class TaskRetry(Contract):
    """Go on with a task that has failed or was stopped. What is not given stays as it was.

    `advice` is told to the agent. A new `spec` changes what is built; then nothing counts as done but the branch.
    """

    agent: AgentKind | None = None
    model: ModelName | None = None
    advice: Text = ""
    spec: ProjectSpec | None = None
    skip: list[OptionalStep] = Field(default_factory=list, max_length=10)


def facts_of(done: WorkDone) -> Facts:
    """`done` as entries of a task's result, where a later retry finds it."""
    values = done.model_dump(mode="json", include=set(_KEPT))
    return {f"{_PREFIX}{name}": int(value) if isinstance(value, bool) else value for name, value in values.items()}


def work_done(task_id: str, result: Facts, criteria: Criteria) -> WorkDone | None:
    """What the result of an ended engineering task says of its work; None when nothing of it is left."""
    if result.get("commit_sha") and result.get("branch"):
        values: Facts = {"commit": result["commit_sha"], "branch": result["branch"], "summary": result.get("summary")}
        values |= figures_in(result).in_result()
        flags = {"tested": True, "verified": True, "published": True}
    else:
        values = {name.removeprefix(_PREFIX): value for name, value in result.items() if name.startswith(_PREFIX)}
        flags = {name: bool(values.pop(name, 0)) for name in ("tested", "verified")}
    if not values.get("branch"):
        return None
    given = {name: value for name, value in values.items() if value is not None}
    return WorkDone.model_validate({"task_id": task_id, **given, **flags, "criteria": criteria})
