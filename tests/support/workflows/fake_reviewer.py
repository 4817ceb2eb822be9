"""Reviews in memory: quick, scriptable, counting every one."""

from __future__ import annotations

from dataclasses import dataclass, field

from activities.model_turns import AtLimit
from activities.ports import Follow
from contracts.models import ModelLimit
from contracts.planning import Judge, ReviewRequest
from contracts.reviews import Review, ReviewFinding, Severity
from tests.support.workflows.fakes import Step


@dataclass
class FakeReviewer:
    """Each review has the next of `objections` as blockers, and `remarks`; the next of `problems` means none.

    The next of `limits` stops it first.
    """

    objections: list[list[str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    limits: list[ModelLimit] = field(default_factory=list)
    step: Step = field(default_factory=Step)
    asked: list[ReviewRequest] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)

    async def review(self, request: ReviewRequest, follow: Follow) -> Review:
        await self.step.pass_through(follow)
        self.asked.append(request)
        if self.limits:
            raise AtLimit(self.limits.pop(0))
        review = Review(commit=request.commit, agent=request.judge.agent)
        if self.problems:
            return review.model_copy(update={"problem": self.problems.pop(0)})
        blockers = self.objections.pop(0) if self.objections else []
        found = [ReviewFinding(severity=Severity.BLOCKER, text=one, file="app.py", line=3) for one in blockers]
        found += [ReviewFinding(severity=Severity.REMARK, text=one) for one in self.remarks]
        return review.model_copy(update={"findings": found})

    async def stop(self, judge: Judge, number: int) -> None:
        self.stopped.append(number)
        self.step.stopped.set()
