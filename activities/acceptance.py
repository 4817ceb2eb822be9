"""The nodes of the engineering graph that say what done means, and that look whether it is.

Neither is done by the agent that builds: the planner reads the wish before it, and the checks are written from the
wish and the API description of the running service.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError
from temporalio import activity

from activities.engineering import EngineeringState
from activities.following import beating, followed, or_stop, to_the_end
from activities.model_turns import AtLimit, parked
from activities.ports import Acceptance, ApiDescriptions, CheckWriter, Follow, Forge, Planner, Platform
from contracts.acceptance import AcceptanceRequest, AcceptanceResult, CheckResult
from contracts.costs import CostEstimate, CostEstimateRequest
from contracts.criteria import MAX_CRITERIA, Criterion, with_claims
from contracts.errors import bounded
from contracts.memory import FailureReport
from contracts.names import ActivityName
from contracts.planning import (
    MAX_RUNS,
    NOT_WRITTEN,
    PROMISED,
    AcceptanceStop,
    CheckWriting,
    Judge,
    KeptCheck,
    Plan,
    PlanRequest,
    ProjectChecks,
    Promise,
    ProposedChecks,
    WrittenChecks,
    still_promised,
    unchecked,
    within_reach,
)
from contracts.project_spec import ProjectSpec
from contracts.states import AgentKind, CriterionState
from contracts.steps import Done
from contracts.wish_words import with_every_word


@dataclass(frozen=True)
class AcceptanceNodes:
    planner: Planner
    writer: CheckWriter
    acceptance: Acceptance
    descriptions: ApiDescriptions
    platform: Platform
    forge: Forge

    async def specify(self, state: EngineeringState) -> EngineeringState:
        """Turn the wish into criteria. A second run asks the planner again, which adopts its own first answer.

        A plan that an earlier attempt has made for the same wish is taken over.
        """
        known = await self.platform.project_checks(state["project_id"], state.get("plan_of", ""))
        kept = known.proposed.plan if known.proposed is not None else None
        try:
            plan = kept or await self._planned(state, known.kept)
        except AtLimit as reached:
            return _parked("specify", state, reached)
        await self._record(state, plan, known.proposed if kept is not None else None)
        expected = await self._expected(_judge(state))
        return {
            "expected": None if expected is None else expected.model_dump(mode="json"),
            "spec": plan.spec.model_dump(mode="json"),
            "ignored": plan.ignored,
            "retires": plan.retires,
            "taken_back": [one.criterion.sentence for one in known.kept if one.check.id in plan.retires],
            "plan_hash": plan.fingerprint(),
            "parked_at": "",
        }

    async def _expected(self, judge: Judge) -> CostEstimate | None:
        """The price, by what earlier tasks have cost; None where no model works."""
        if judge.agent is AgentKind.SCRIPTED:
            return None
        asked = CostEstimateRequest(task_id=judge.task_id, project_id=judge.project_id, agent=judge.agent)
        return await self.platform.estimate_cost(asked)

    async def _planned(self, state: EngineeringState, kept: Sequence[KeptCheck]) -> Plan:
        spec = ProjectSpec.model_validate(state["spec"])
        request = PlanRequest(judge=_judge(state), spec=spec, promises=[_promise(one) for one in kept])
        planning = followed(self.platform, state["task_id"], lambda follow: self.planner.plan(request, follow))
        found = await or_stop(planning, lambda: self.planner.stop(request.judge))
        return complete(spec, found, kept)

    async def _record(self, state: EngineeringState, plan: Plan, before: ProposedChecks | None) -> None:
        """Where a later attempt finds it, with the checks that an earlier one has written for it."""
        proposed = before or ProposedChecks(
            written_from=NOT_WRITTEN, criteria=plan.spec.acceptance, retires=plan.retires, plan=plan
        )
        await self.platform.propose_checks(state["project_id"], state["task_id"], proposed)

    async def accept(self, state: EngineeringState) -> EngineeringState:
        """Check the running service of the commit against the wish; a second run adopts the first one's."""
        request = _request(state)
        working = followed(self.platform, state["task_id"], lambda follow: self._accepted(state, request, follow))
        stopping = AcceptanceStop(request=request, judge=_judge(state))
        try:
            result, left_out = await or_stop(working, lambda: self._stop(stopping))
        except AtLimit as reached:
            return _parked("accept", state, reached)
        update = after_acceptance(state, result, left_out)
        if update["unmet"]:
            missed = bounded("; ".join(update["unmet"]), 8_000)
            key = f"{request.task_id}/{request.commit}/acceptance"
            failure = FailureReport(key=key, what="The running service was not as asked", evidence=missed)
            await beating(self.platform.report_failure(request.project_id, failure))
        return {**update, "parked_at": ""}

    @activity.defn(name=ActivityName.ACCEPTANCE_STOP)
    async def stop_acceptance(self, stopping: AcceptanceStop) -> Done:
        """Stop a plan or an acceptance that is no longer followed; a second run finds it stopped."""
        await to_the_end(self._stop(stopping))
        return Done()

    @activity.defn(name=ActivityName.JUDGE_STOP)
    async def stop_judge(self, judge: Judge) -> Done:
        """Stop who plans or divides, and who writes checks; nothing of them is left. Repeatable."""
        await to_the_end(self._stop_judge(judge))
        return Done()

    async def _stop_judge(self, judge: Judge) -> None:
        await self.planner.stop(judge)
        await self.writer.stop(judge)

    async def _accepted(
        self, state: EngineeringState, request: AcceptanceRequest, follow: Follow
    ) -> tuple[AcceptanceResult, list[KeptCheck]]:
        """What was met needs no second look. A miss counts once the checks are written from what the service says of
        itself: the wish alone does not say every path and name. Returns, too, the promises that had no room.
        """
        known = await self.platform.project_checks(state["project_id"], state["task_id"])
        kept = await self._judged(request, known)
        spec = ProjectSpec.model_validate(state["spec"])
        writing = CheckWriting(judge=_judge(state), spec=spec, is_first=not known.kept)
        proposed, result, left_out = await self._proposed(state, known, writing, follow), None, list[KeptCheck]()
        if not proposed.needs_description:
            asked = _with_checks(request, proposed, kept)
            result, left_out = await self.acceptance.accept(asked, follow), _left_out(asked, proposed, kept)
            if result.passed:
                return result, left_out
        description = await self.descriptions.describe(request, follow)
        if result is not None and not description:
            return result, left_out
        described = writing.model_copy(update={"api_description": description})
        proposed = await self._proposed(state, known, described, follow)
        asked = _with_checks(request, proposed, kept)
        return await self.acceptance.accept(asked, follow), _left_out(asked, proposed, kept)

    async def _judged(self, request: AcceptanceRequest, known: ProjectChecks) -> list[KeptCheck]:
        """The promises that count for a commit. One that is behind main may not have what was promised since: it is
        brought onto main before it is published, and judged by all of them then."""
        behind = known.kept and await self.forge.mirror(request.repository).is_behind_main(request.commit)
        return [] if behind else known.kept

    async def _proposed(
        self, state: EngineeringState, known: ProjectChecks, writing: CheckWriting, follow: Follow
    ) -> ProposedChecks:
        """The checks of this task: those that were written from the same, else new ones, recorded before they run."""
        proposed = known.proposed
        if proposed is None or proposed.written_from != writing.fingerprint():
            written = await self.writer.write(writing, follow)
            proposed = ProposedChecks(
                **dict(_for_these(written, writing.spec.acceptance)),
                written_from=writing.fingerprint(),
                criteria=writing.spec.acceptance,
                retires=state.get("retires", []),
                plan=proposed.plan if proposed is not None else None,
            )
        if proposed.needs_description:
            return proposed
        # Recorded again, too: others may have been tried since, and the last that ran are those that are kept.
        return await self.platform.propose_checks(state["project_id"], state["task_id"], proposed)

    async def _stop(self, stopping: AcceptanceStop) -> None:
        """What runs is named by its checks, which were recorded before it began."""
        request = stopping.request
        await self._stop_judge(stopping.judge)
        await self.descriptions.stop(request)
        known = await self.platform.project_checks(request.project_id, request.task_id)
        if known.proposed is not None:
            own = request.model_copy(update={"criteria": known.proposed.criteria})
            for kept in (known.kept, []):  # whether the commit was behind main when it began is not known any more
                await self.acceptance.stop(_with_checks(own, known.proposed, kept))


def _parked(step: str, state: EngineeringState, reached: AtLimit) -> EngineeringState:
    return cast(EngineeringState, parked(step, state.get("judging", 0) + 1, reached.limit))


def complete(wish: ProjectSpec, plan: Plan, kept: Sequence[KeptCheck]) -> Plan:
    """The plan with every word of the wish: quoted by a criterion, or ignored. What a planner says of the wish itself
    does not count, nor what it takes back that was never promised.
    """
    criteria = [one.model_copy(update={**_OPEN, "id": _own(one.id)}) for one in plan.spec.acceptance]
    full, ignored = with_every_word(wish.description, criteria)
    while (spec := _spec_with(wish, full)) is None:
        # Long words stand twice in a spec that may not be longer than a message: they are shown, and judged by nobody.
        ignored = [*ignored, full[-1].words or full[-1].sentence]
        full = full[:-1]
    promised = {one.check.id for one in kept}
    return Plan(spec=spec, ignored=ignored[:MAX_RUNS], retires=[one for one in plan.retires if one in promised])


def _own(name: str) -> str:
    """The id of a criterion that is not taken for one of an earlier wish."""
    return f"own-{hashlib.sha256(name.encode()).hexdigest()[:16]}" if name.startswith(PROMISED) else name


_OPEN: dict[str, Any] = {"state": CriterionState.OPEN, "proof": None}


def _spec_with(wish: ProjectSpec, criteria: Sequence[Criterion]) -> ProjectSpec | None:
    """None if it gets too large."""
    document = wish.model_dump(mode="json") | {"acceptance": [one.model_dump(mode="json") for one in criteria]}
    try:
        return ProjectSpec.model_validate(document)
    except ValidationError:
        if not criteria:
            raise
        return None


def after_acceptance(
    state: EngineeringState, result: AcceptanceResult, left_out: Sequence[KeptCheck] = ()
) -> EngineeringState:
    """What the graph knows afterwards. Of what was promised earlier only what is broken is shown."""
    own = [one for one in result.criteria if not one.id.startswith(PROMISED)]
    broken = [
        one.model_copy(update={"sentence": f"Promised earlier: {one.sentence}"[:200]})
        for one in result.criteria
        if one.id.startswith(PROMISED) and one.state is CriterionState.NOT_MET
    ]
    sentences = {one.id: one.sentence for one in broken}
    claims = [Criterion.model_validate(one) for one in state.get("criteria", [])]
    judged = [*broken, *with_claims(own, claims)][:MAX_CRITERIA]
    artifacts = [*state.get("artifacts", []), *(one.model_dump(mode="json") for one in result.artifacts)]
    return {
        "accepted": result.passed,
        "judged": [one.model_dump(mode="json") for one in judged],
        "unmet": [one.sentence for one in judged if one.state is CriterionState.NOT_MET],
        "broken": [one.check_id for one in result.checks if _is_broken(one)],
        "broken_sentences": [sentences[one.criterion_id] for one in result.checks if _is_broken(one)],
        "unchecked": [one.model_dump(mode="json") for one in unchecked(left_out)],
        "screenshots": [one.artifact.uri for one in result.screenshots],
        "last_unmet_fingerprint": state.get("unmet_fingerprint"),
        "unmet_fingerprint": result.fingerprint,
        "evidence": "" if result.passed else result.evidence,
        "verified_base": state["verified_base"] if result.passed else result.commit,
        "artifacts": artifacts[-20:],
    }


def _is_broken(one: CheckResult) -> bool:
    return one.criterion_id.startswith(PROMISED) and one.state is CriterionState.NOT_MET


def _request(state: EngineeringState) -> AcceptanceRequest:
    return AcceptanceRequest(
        task_id=state["task_id"],
        project_id=state["project_id"],
        project_name=state.get("project_name", "project"),
        repository=state["repository"],
        commit=state["commit"],
        criteria=ProjectSpec.model_validate(state["spec"]).acceptance,
    )


def _with_checks(request: AcceptanceRequest, proposed: ProposedChecks, kept: Sequence[KeptCheck]) -> AcceptanceRequest:
    """The new checks, and beside them what was promised earlier, each under a criterion of its own."""
    earlier = within_reach(proposed.checks, list(kept), proposed.retires)
    criteria, checks = list(request.criteria), list(proposed.checks)
    names: dict[str, str] = {}
    for one in earlier:
        sentence = one.criterion.sentence
        if sentence not in names and len(criteria) < MAX_CRITERIA:
            names[sentence] = f"{PROMISED}{len(names) + 1}"
            criteria.append(one.criterion.model_copy(update={**_OPEN, "id": names[sentence]}))
        if sentence in names:
            checks.append(one.check.model_copy(update={"criterion_id": names[sentence]}))
    return AcceptanceRequest(
        **dict(request) | {"criteria": criteria, "checks": checks, "not_checkable": proposed.not_checkable}
    )


def _left_out(asked: AcceptanceRequest, proposed: ProposedChecks, kept: Sequence[KeptCheck]) -> list[KeptCheck]:
    """What the project promises and the run does not look at."""
    runs = {check.id for check in asked.checks}
    return [one for one in still_promised(proposed.checks, list(kept), proposed.retires) if one.check.id not in runs]


def _for_these(written: WrittenChecks, criteria: Sequence[Criterion]) -> WrittenChecks:
    """Without what is for a criterion that nobody has asked for."""
    known = {one.id for one in criteria}
    return WrittenChecks(
        checks=[one for one in written.checks if one.criterion_id in known],
        not_checkable={name: reason for name, reason in written.not_checkable.items() if name in known},
        needs_description=written.needs_description,
    )


def _judge(state: EngineeringState) -> Judge:
    return Judge(
        task_id=state["task_id"],
        project_id=state["project_id"],
        user_id=state.get("user_id"),
        agent=AgentKind(state.get("judge") or AgentKind.SCRIPTED),
        timeout_s=state["turn_timeout_s"],
        attempt=state.get("judging", 0),
        model=state.get("judge_model"),
    )


def _promise(one: KeptCheck) -> Promise:
    return Promise(check_id=one.check.id, sentence=one.criterion.sentence, words=one.criterion.words)
