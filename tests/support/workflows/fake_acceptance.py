"""Plans, checks and acceptance in memory: quick, scriptable, counting every effect."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from activities.model_turns import AtLimit
from activities.ports import Follow
from contracts.acceptance import AcceptanceCheck, AcceptanceRequest, AcceptanceResult, CheckResult, HttpStep
from contracts.base import utc_now
from contracts.criteria import Criterion, Proof
from contracts.errors import OrchestratorError
from contracts.memory import FailureReport, MemoryPublished, MemoryToWrite
from contracts.models import ModelLimit
from contracts.parts import WorkPart
from contracts.planning import (
    ChecksKept,
    CheckWriting,
    Judge,
    KeepChecks,
    KeptCheck,
    PartsRequest,
    Plan,
    PlanRequest,
    ProjectChecks,
    ProposedChecks,
    WrittenChecks,
)
from contracts.states import CriterionState
from tests.support.workflows.fakes import FakePlatform, Step


@dataclass
class PromisingPlatform(FakePlatform):
    """The API in memory with the checks of one project: the same rules for what is proposed and kept."""

    kept: dict[str, KeptCheck] = field(default_factory=dict)
    proposed: dict[str, ProposedChecks] = field(default_factory=dict)

    async def project_checks(self, project_id: str, task_id: str = "") -> ProjectChecks:
        return ProjectChecks(kept=list(self.kept.values()), proposed=self.proposed.get(task_id))

    async def propose_checks(self, project_id: str, task_id: str, checks: ProposedChecks) -> ProposedChecks:
        self.proposed[task_id] = checks
        return checks

    not_kept: list[str] = field(default_factory=list)
    failures: dict[str, FailureReport] = field(default_factory=dict)
    memories: list[MemoryPublished] = field(default_factory=list)
    to_remember: MemoryToWrite = field(default_factory=MemoryToWrite)

    async def memory_to_write(self, project_id: str, task_id: str) -> MemoryToWrite:
        return self.to_remember

    async def report_failure(self, project_id: str, failure: FailureReport) -> None:
        self.failures.setdefault(failure.key, failure)

    async def memory_published(self, project_id: str, published: MemoryPublished) -> None:
        self.memories.append(published)

    async def keep_checks(self, project_id: str, task_id: str, kept: KeepChecks) -> ChecksKept:
        proposed = self.proposed.pop(task_id, None)
        if proposed is None:
            return ChecksKept()
        for name in (*proposed.retires, *kept.given_up):
            self.kept.pop(name, None)
        criteria = {one.id: one for one in proposed.criteria}
        for check in proposed.checks:
            if check.criterion_id in kept.met:
                criterion = criteria[check.criterion_id]
                self.kept[check.id] = KeptCheck(check=check, criterion=criterion, task_id=task_id, kept_at=utc_now())
        return ChecksKept(not_kept=self.not_kept)


@dataclass
class FakePlanner:
    """One criterion for each of `clauses`; the words of the others are left out, as a planner may do.

    The next of `limits` stops it first.
    """

    clauses: list[str] = field(default_factory=list)
    retires: list[str] = field(default_factory=list)
    asked: list[PlanRequest] = field(default_factory=list)
    stopped: list[Judge] = field(default_factory=list)
    limits: list[ModelLimit] = field(default_factory=list)
    lost: OrchestratorError | None = None
    """What happens in every attempt, if anything."""
    step: Step = field(default_factory=Step)
    parts: list[WorkPart] = field(default_factory=list)
    divided: list[PartsRequest] = field(default_factory=list)
    dividing: Step = field(default_factory=Step)

    async def divide(self, request: PartsRequest, follow: Follow) -> list[WorkPart]:
        await self.dividing.pass_through(follow)
        self.divided.append(request)
        self._fail()
        return self.parts

    async def plan(self, request: PlanRequest, follow: Follow) -> Plan:
        await self.step.pass_through(follow)
        self.asked.append(request)
        self._fail()
        criteria = [
            Criterion(id=f"p{number}", sentence=f"It has: {words}", words=words)
            for number, words in enumerate(self.clauses, start=1)
        ]
        return Plan(spec=request.spec.model_copy(update={"acceptance": criteria}), retires=self.retires)

    def _fail(self) -> None:
        if self.lost:
            raise self.lost
        if self.limits:
            raise AtLimit(self.limits.pop(0))

    async def stop(self, judge: Judge) -> None:
        self.stopped.append(judge)


@dataclass
class FakeCheckWriter:
    """One check for each criterion, named after its words, but for those whose words have `unclear` in them."""

    guesses: bool = False
    """Whether it writes checks before anybody has looked at the service."""
    written: list[CheckWriting] = field(default_factory=list)
    limits: list[ModelLimit] = field(default_factory=list)

    async def write(self, request: CheckWriting, follow: Follow) -> WrittenChecks:
        self.written.append(request)
        if self.limits:
            raise AtLimit(self.limits.pop(0))
        if request.api_description is None and not self.guesses:
            return WrittenChecks(needs_description=True)
        clear = [one for one in request.spec.acceptance if "unclear" not in one.words]
        checks = [
            AcceptanceCheck(
                id="-".join(re.findall(r"[A-Za-z]+", one.words))[:90],
                criterion_id=one.id,
                title=one.sentence,
                steps=[HttpStep.model_validate({"path": "/", "expect": {"status": 200}})],
            )
            for one in clear
        ]
        reasons = {one.id: "nobody can say" for one in request.spec.acceptance if one not in clear}
        return WrittenChecks(checks=checks, not_checkable=reasons)

    async def stop(self, judge: Judge) -> None:
        """It never runs for long."""


@dataclass
class FakeAcceptance:
    """Each acceptance misses the checks of the next of `misses` (parts of their ids); then it misses none."""

    misses: list[set[str]] = field(default_factory=list)
    step: Step = field(default_factory=Step)
    accepted: list[AcceptanceRequest] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    described: int = 0

    async def describe(self, request: AcceptanceRequest, follow: Follow) -> str:
        self.described += 1
        return '{"paths": {}}'

    async def accept(self, request: AcceptanceRequest, follow: Follow) -> AcceptanceResult:
        await self.step.pass_through(follow)
        self.accepted.append(request)
        missed = self.misses.pop(0) if self.misses else set()
        results = [_result(check, any(part in check.id for part in missed)) for check in request.checks]
        states = {one.criterion_id: one.state for one in results}
        states |= {one.criterion_id: one.state for one in results if one.state is CriterionState.NOT_MET}
        criteria = [_judged(one, states.get(one.id, CriterionState.NOT_CHECKABLE)) for one in request.criteria]
        missing = [one.title for one in results if one.state is CriterionState.NOT_MET]
        return AcceptanceResult(
            commit=request.commit,
            criteria=criteria,
            checks=results,
            evidence="; ".join(missing),
            fingerprint="-".join(sorted(missed)) if missing else None,
        )

    async def stop(self, request: AcceptanceRequest) -> None:
        self.stopped.append(request.commit)
        self.step.stopped.set()


def _result(check: AcceptanceCheck, missed: bool) -> CheckResult:
    state = CriterionState.NOT_MET if missed else CriterionState.MET
    return CheckResult(check_id=check.id, criterion_id=check.criterion_id, title=check.title, state=state)


def _judged(one: Criterion, state: CriterionState) -> Criterion:
    return one.model_copy(update={"state": state, "proof": Proof(reference="GET /", text=f"{state.value}")})
