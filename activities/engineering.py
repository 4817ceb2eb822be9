"""The nodes of the engineering graph that touch the outside world.

State is JSON-plain; models are rebuilt at the entry of each node.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, cast

import structlog
from temporalio import activity

from activities.ended import refuse_if_ended
from activities.following import beating, followed, or_stop, to_the_end
from activities.ports import Follow, Forge, PlanReader, Platform, Tester, WorkflowClient
from contracts import memory
from contracts.agent_workers import SendMessageCommand, TurnOutcome
from contracts.base import MAX_TEXT
from contracts.criteria import Criterion, verdict_text
from contracts.deviations import TakenAsIs
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded, end_of
from contracts.names import ActivityName
from contracts.outside_text import cleaned
from contracts.planning import ChecksKept, KeepChecks
from contracts.reviews import Review
from contracts.states import AcceptanceMode, AgentKind, CriterionState
from contracts.steps import (
    ACCEPTANCE_CHECK,
    TESTS_CHECK,
    AnalysisRequest,
    Check,
    Done,
    PublishRequest,
    VerificationRequest,
    VerificationResult,
)
from contracts.suite_figures import SuiteFigures

log = structlog.get_logger(__name__)


class EngineeringState(TypedDict, total=False):
    """What the engineering graph knows. `verified_base` is the last commit that is not new any more, `begun_at` the one
    on which the agent's commits of the last turn's clone are. `broken` and `broken_sentences` go together; `taken` says
    what a person knew who took the work as it is."""

    task_id: str
    project_id: str
    repository: str
    worker_id: str
    branch: str
    base_commit: str
    verified_base: str
    turn_timeout_s: int
    max_rounds: int
    round: int
    turn: int
    prompt: str
    turn_status: str
    summary: str
    question: str | None
    choices: list[str]
    commit: str
    begun_at: str
    files_changed: list[str]
    artifacts: list[dict[str, Any]]
    criteria: list[dict[str, Any]]
    tested: bool
    passed: bool
    fingerprint: str | None
    last_fingerprint: str | None
    same_failure: bool
    evidence: str
    publish_status: str
    conflict: list[str]
    answer: str
    project_name: str
    acceptance: str
    plan_approval: str
    spec: dict[str, Any]
    ignored: list[str]
    retires: list[str]
    taken_back: list[str]
    plan_hash: str
    part: dict[str, Any]
    expected: dict[str, Any] | None
    accepted: bool
    taken_as_is: bool
    stops: bool
    judged: list[dict[str, Any]]
    unchecked: list[dict[str, Any]]
    unmet: list[str]
    broken: list[str]
    broken_sentences: list[str]
    taken: dict[str, Any]
    unmet_fingerprint: str | None
    last_unmet_fingerprint: str | None
    screenshots: list[str]
    judge: str
    user_id: int
    review: str
    reviewer: str
    review_model: str | None
    reviews: int
    reviewed: dict[str, Any]
    objections: int
    review_taken: str | None
    then: str
    agent: str | None
    model: str | None
    fresh_session: bool
    limit: dict[str, Any] | None
    asked_prompt: str
    stopped_at_limit: bool
    goes_on: bool
    advice: str
    parked_at: str
    judging: int
    judge_model: str | None
    plan_of: str
    approved_plan: str
    figures: dict[str, Any] | None


_THE_AGENTS_TO_REPAIR = frozenset(
    {ErrorCode.REPOSITORY_DIVERGED, ErrorCode.REPOSITORY_UNREADABLE, ErrorCode.BRANCH_MOVED}
)
"""What an agent has done to its repository, or a person to its branch: evidence for its next turn."""

_THE_CODES_FAULT = frozenset({ErrorCode.ENV_CONTRACT_INVALID, ErrorCode.INVALID_INPUT})
"""What is wrong with the files that say how a commit is run."""


@dataclass(frozen=True)
class EngineeringNodes:
    workflow_client: WorkflowClient
    tester: Tester
    forge: Forge
    platform: Platform
    plans: PlanReader

    async def develop(self, state: EngineeringState) -> EngineeringState:
        """One turn of the Developer; a second run attaches to the turn of the first by its request id."""
        turn, agent = state.get("turn", 0) + 1, state.get("agent")
        command = SendMessageCommand(
            request_id=f"{state['task_id']}/turn/{turn}",
            worker_id=state["worker_id"],
            message=state["prompt"],
            timeout=state["turn_timeout_s"],
            agent=AgentKind(agent) if agent else None,
            model=state.get("model"),
            fresh_session=state.get("fresh_session", False),
        )
        response = await beating(self.workflow_client.send_message(command))
        if response.outcome is None:
            code = ErrorCode(response.error_code) if response.error_code else ErrorCode.AGENT_FAILED
            if response.stopped:
                return {**_without_commit(state, turn), "turn_status": "stopped", "evidence": ""}
            if code in _THE_AGENTS_TO_REPAIR:
                return _after_refusal(state, turn, f"{code.value}: {response.error}")
            raise OrchestratorError(code, response.error or "The agent worker returned no result.")
        stopped = response.stopped and response.outcome.status == "done"
        return {
            **_after_turn(state, turn, response.outcome),
            **cast(EngineeringState, {"turn_status": "stopped", "round": state.get("round", 0)} if stopped else {}),
        }

    async def verify(self, state: EngineeringState) -> EngineeringState:
        """Read what the commit needs to run, and run the project's own checks; a second run adopts the first one's."""
        request = VerificationRequest(
            task_id=state["task_id"],
            project_id=state["project_id"],
            repository=state["repository"],
            commit=state["commit"],
        )
        work = followed(self.platform, request.task_id, lambda follow: self._verified(request, follow))
        found = await or_stop(work, lambda: self.tester.stop(request))
        if not found.passed and found.failure_class == "code":
            key = f"{request.task_id}/{request.commit}/checks"
            failure = memory.FailureReport(key=key, what="Checks were red", evidence=found.evidence)
            await beating(self.platform.report_failure(request.project_id, failure))
        return _after_verification(state, found)

    async def _verified(self, request: VerificationRequest, follow: Follow) -> VerificationResult:
        wanted = AnalysisRequest(project_id=request.project_id, repository=request.repository, commit=request.commit)
        try:
            await beating(self.plans.read(wanted))
        except OrchestratorError as error:
            if error.code in _THE_CODES_FAULT:
                # The deploy would refuse it, when nobody can repair it any more.
                return _red(request, f"{error.code.value}: {error.message}")
            if error.code is not ErrorCode.NOT_FOUND:
                raise
        return await self.tester.verify(request, follow)

    @activity.defn(name=ActivityName.VERIFICATION_STOP)
    async def stop_tests(self, request: VerificationRequest) -> Done:
        """Stop tests that are no longer followed; a second run finds them stopped."""
        await to_the_end(self.tester.stop(request))
        return Done()

    async def publish(self, state: EngineeringState) -> EngineeringState:
        """Bring the verified commit to main; a second run finds it there."""
        request = PublishRequest(
            task_id=state["task_id"],
            project_id=state["project_id"],
            repository=state["repository"],
            branch=state["branch"],
            commit=state["commit"],
            base_commit=state["base_commit"],
            summary=_summary(state),
            checks=_checks(state),
        )
        await refuse_if_ended(self.platform, state["task_id"])
        result, kept = await to_the_end(self.forge.publish(request)), ChecksKept()
        if result.status == "published" and state.get("judged"):
            kept = await beating(self.platform.keep_checks(state["project_id"], state["task_id"], _promises(state)))
        update: EngineeringState = {
            **cast(EngineeringState, {"summary": _with_told(state, kept.told())} if kept.told() else {}),
            "publish_status": result.status,
            "commit": result.commit,
            "conflict": result.conflict,
        }
        if result.files_changed:
            update["files_changed"] = result.files_changed[:500]
        if result.status == "published":
            await self._tell_memory(state, result.commit)
        return update

    async def _tell_memory(self, state: EngineeringState, commit: str) -> None:
        """People see the memory as main has it; of one that is no text, or too large, nothing."""
        files: dict[str, str] = {}
        try:
            _, files = await beating(self.forge.mirror(state["repository"]).read_files(commit, [memory.PATH]))
        except OrchestratorError as error:
            if error.code is not ErrorCode.INVALID_INPUT:
                raise
            log.warning("the memory of a project cannot be read", commit=commit, why=error.message)
        text = cleaned(files.get(memory.PATH, ""))[: memory.MAX_MEMORY]
        told = memory.MemoryPublished(task_id=state["task_id"], commit=commit, text=text)
        await beating(self.platform.memory_published(state["project_id"], told))


def _summary(state: EngineeringState) -> str:
    """What the agent says of its work, and what was seen of it."""
    judged = [Criterion.model_validate(one) for one in [*state.get("judged", []), *state.get("unchecked", [])]]
    reviewed = state.get("reviewed")
    review = f"Review:\n{Review.model_validate(reviewed).told()}" if reviewed else ""
    taken = taken_as_is(state)
    deviations = f"Taken as it is by a person, who knew of this:\n{taken.told()}" if taken else ""
    figures = figures_of(state)
    tests = f"Tests: {figures.told()}" if figures and figures.told() else ""
    parts = [state.get("summary", ""), verdict_text(judged), deviations, review, tests]
    return bounded("\n\n".join(filter(None, parts)), MAX_TEXT)


def figures_of(state: Mapping[str, Any]) -> SuiteFigures | None:
    """What the tests of the state's commit said in figures; None if they were not green or said nothing."""
    found = state.get("figures")
    return SuiteFigures.model_validate(found) if found and state.get("tested") and state.get("passed") else None


def _with_told(state: EngineeringState, told: str) -> str:
    return bounded("\n\n".join(filter(None, [state.get("summary", ""), told])), MAX_TEXT)


def taken_as_is(state: Mapping[str, Any]) -> TakenAsIs | None:
    """What a person knew who took the work as it is; None if nobody had to, or nothing is missing any more."""
    if not state.get("taken_as_is") or state.get("accepted") or not state.get("taken"):
        return None
    return TakenAsIs.model_validate(state["taken"])


def _checks(state: EngineeringState) -> list[Check]:
    """What was found out about this commit. Of one that was not tested nothing is known."""
    commit, green = state["commit"], state.get("tested", False) and state.get("passed", False)
    found = [Check(name=TESTS_CHECK, commit=commit, passed=green)]
    if state.get("acceptance") == AcceptanceMode.BINDING:
        passed = green and (state.get("accepted", False) or state.get("taken_as_is", False))
        found.append(Check(name=ACCEPTANCE_CHECK, commit=commit, passed=passed))
    return found


def _promises(state: EngineeringState) -> KeepChecks:
    """What was seen to be there is promised from now on. Whoever takes the work as it is gives up what it was said to
    break; any other promise stays one."""
    taken = taken_as_is(state)
    gives_up = taken.gives_up if taken else []
    judged = [Criterion.model_validate(one) for one in state.get("judged", [])]
    return KeepChecks(
        met=[one.id for one in judged if one.state is CriterionState.MET],
        given_up=[name for name in state.get("broken", []) if name in gives_up],
    )


def _after_turn(state: EngineeringState, turn: int, outcome: TurnOutcome) -> EngineeringState:
    artifacts = list(state.get("artifacts", []))
    if outcome.transcript:
        artifacts.append(outcome.transcript.model_dump(mode="json"))
    limit = outcome.limit.model_dump(mode="json") if outcome.limit else None
    interrupted = limit is not None and outcome.status == "failed"
    return {
        "turn": turn,
        # a turn that was stopped from outside is no attempt of the agent
        "round": state.get("round", 0) + (0 if interrupted else 1),
        "limit": limit,
        "fresh_session": False,
        "asked_prompt": (state.get("asked_prompt") or state["prompt"]) if interrupted else "",
        "turn_status": outcome.status,
        "summary": outcome.summary[:2_000],
        "question": outcome.question,
        "choices": outcome.choices,
        "commit": outcome.commit or "",
        "begun_at": outcome.base_commit or "",
        "files_changed": outcome.files_changed[:500],
        "artifacts": artifacts[-20:],
        "criteria": [one.model_dump(mode="json") for one in outcome.criteria] or state.get("criteria", []),
        "publish_status": "",
        "tested": False,
        "passed": False,
        "accepted": False,
        "taken_as_is": False,
        "unmet": [],
        "figures": None,
    }


def _red(request: VerificationRequest, evidence: str) -> VerificationResult:
    fingerprint = hashlib.sha256(evidence.encode()).hexdigest()[:32]
    return VerificationResult(
        commit=request.commit, passed=False, failure_class="code", fingerprint=fingerprint, evidence=evidence
    )


def _after_refusal(state: EngineeringState, turn: int, evidence: str) -> EngineeringState:
    """The commits of the turn could not be taken."""
    fingerprint = hashlib.sha256(evidence.encode()).hexdigest()[:32]
    return {
        **_without_commit(state, turn),
        "round": state.get("round", 0) + 1,
        "turn_status": "refused",
        "evidence": evidence,
        "last_fingerprint": state.get("fingerprint"),
        "fingerprint": fingerprint,
        "same_failure": fingerprint == state.get("fingerprint"),
    }


def _without_commit(state: EngineeringState, turn: int) -> EngineeringState:
    """The turn has ended, and there is nothing of it that could be verified."""
    return {
        "turn": turn,
        "limit": None,
        "fresh_session": False,
        "asked_prompt": "",
        "question": None,
        "choices": [],
        "summary": "",
        "commit": "",
        "publish_status": "",
        "tested": False,
        "passed": False,
        "accepted": False,
        "taken_as_is": False,
        "unmet": [],
        "figures": None,
    }


def _after_verification(state: EngineeringState, result: VerificationResult) -> EngineeringState:
    if result.failure_class == "infrastructure":
        raise OrchestratorError(
            ErrorCode.TESTER_LOST,
            f"The tests could not run, and the code is not the cause:\n{end_of(result.evidence.strip(), 500)}",
            error_class=ErrorClass.TRANSIENT,
        )
    artifacts = list(state.get("artifacts", []))
    if result.report:
        artifacts.append(result.report.model_dump(mode="json"))
    return {
        "tested": True,
        "passed": result.passed,
        "last_fingerprint": state.get("fingerprint"),
        "fingerprint": result.fingerprint,
        "same_failure": bool(result.fingerprint) and result.fingerprint == state.get("fingerprint"),
        "evidence": "" if result.passed else result.evidence,
        "figures": result.figures.model_dump(mode="json") if result.passed and result.figures else None,
        "verified_base": result.commit if not result.passed else state["verified_base"],
        "artifacts": artifacts[-20:],
    }
