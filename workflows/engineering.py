"""Engineering: from a wish to a commit that the remote has and whose tests we ran.

Life: scaffold -> agent worker -> engineering graph (plan, develop, verify, accept, publish; a person where it is
stuck).
Update `answer` goes straight here; cancel stops the agent and the tests, confirmed. The final state is written on
success, failure and cancellation.
"""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.departments import DepartmentActivities
    from activities.engineering import figures_of
    from activities.repository import RepositoryActivities
    from contracts import ids
    from contracts.agent_workers import (
        AgentWorkerResult,
        AgentWorkerRun,
        DeleteWorkerCommand,
        WorkerConfig,
    )
    from contracts.artifacts import ArtifactRef
    from contracts.criteria import Criterion, fitting
    from contracts.departments import EngineeringMessage, EngineeringResult, ScaffolderMessage
    from contracts.errors import ErrorCode
    from contracts.names import GraphName, UpdateName, WorkflowName
    from contracts.questions import AnswerAccepted, AnswerCommand, QuestionWording
    from contracts.states import ProjectStatus, QuestionKind, ResultStatus, Stage, TaskKind, TaskState
    from contracts.steps import ScaffoldResult
    from contracts.subjects import Subject
    from workflows import failures, options, patches, rules
    from workflows.children import cancel_in_any_run
    from workflows.engineering_parts import stopping
    from workflows.graph_run import run_graph
    from workflows.graphs import acceptance_rules, review_rules
    from workflows.ledger import Ledger
    from workflows.limits import continuing, resuming
    from workflows.limits.parking import Parking
    from workflows.visibility import attributes

_STAGES = {
    "specify": (Stage.PLANNING, 25, None),
    "review": (Stage.REVIEWING, 70, None),
    "accept": (Stage.ACCEPTING, 75, None),
    "develop": (Stage.DEVELOPING, 35, ProjectStatus.DEVELOPING),
    "verify": (Stage.TESTING, 65, ProjectStatus.TESTING),
    "publish": (Stage.PUBLISHING, 85, None),
}


@workflow.defn(name=WorkflowName.ENGINEERING)
class EngineeringWorkflow:
    @workflow.init
    def __init__(self, message: EngineeringMessage) -> None:
        self._message = message
        self._name = rules.project_name(message)
        self._repository = message.repository or ""
        self._worker_id = ids.worker_id_for_task(message.task_id)
        self._worker: workflow.ChildWorkflowHandle[Any, AgentWorkerResult] | None = None
        self._scaffolded = False
        self._verified = ""
        self._state: dict[str, Any] = {}
        self._green = message.done.commit or "" if message.done and message.done.verified else ""
        self._artifacts: list[ArtifactRef] = []
        self._started_ms = workflow.time_ns() // 1_000_000
        self._ledger = Ledger(
            kind=TaskKind.ENGINEERING,
            task_id=message.task_id,
            subject=Subject.project(message.project_id),
            user_id=message.user_id,
            title=message.title or rules.spec_of(message).description or self._name,
            request_id=message.request_id,
            parent_task_id=message.parent_task_id,
            parent_workflow_id=message.parent_workflow_id,
        )
        self._parking = Parking(message, self._ledger)

    @workflow.run
    async def run(self, message: EngineeringMessage) -> EngineeringResult:
        try:
            acknowledged = await self._ledger.open(f"Engineering has started on {self._name}.")
            if not (acknowledged.closed and patches.ended_stays_ended()):
                return await self._engineer()
        except failures.ENDINGS as error:
            if failures.is_cancellation(error):
                await self._record_cancellation(unheard=failures.cancelled_unheard(error))
                raise asyncio.CancelledError from error
            await self._record_failure(error)
            raise
        finally:
            await workflow.wait_condition(workflow.all_handlers_finished)
        raise failures.already_ended()

    # Handlers --------------------------------------------------------------------------------------------

    @workflow.update(name=UpdateName.ANSWER)
    def answer(self, command: AnswerCommand) -> AnswerAccepted:
        self._ledger.accept(command)
        return AnswerAccepted(question_id=command.question_id, message="Thank you; the work continues.")

    @answer.validator
    def _may_answer(self, command: AnswerCommand) -> None:
        refusal = rules.refusal(self._ledger.question, self._ledger.asked, command)
        if refusal:
            raise failures.failure(*refusal)

    # Phases ----------------------------------------------------------------------------------------------

    async def _engineer(self) -> EngineeringResult:
        scaffold = await self._scaffold()
        failures.stop_if_cancelled()
        await self._start_agent_worker()
        state = await self._develop_until_published(scaffold)
        await self._close_agent_worker()
        return await self._complete(state)

    async def _scaffold(self) -> ScaffoldResult:
        if not self._repository:
            raise failures.failure(ErrorCode.INVALID_INPUT, rules.NO_REPOSITORY)
        if (done := continuing.scaffolded(self._message)) is not None:
            self._scaffolded = True
            self._ledger.note(continuing.told(self._message))
            return done
        self._ledger.stage(
            Stage.SCAFFOLDING, "Generating the project.", percent=10, project_status=ProjectStatus.SCAFFOLDING
        )
        result = await self._generate()
        self._scaffolded = True
        found = "found as it was" if result.adopted else f"from template {result.template_version}"
        self._ledger.stage(
            Stage.SCAFFOLDING,
            f"The repository {result.repo_full_name} is ready, {found}.",
            percent=20,
            project_status=ProjectStatus.SCAFFOLDED,
        )
        return result

    async def _develop_until_published(self, scaffold: ScaffoldResult) -> dict[str, Any]:
        state = await run_graph(
            GraphName.ENGINEERING, self._first_state(scaffold), entered=self._entered, interrupted=self._ask
        )
        self._artifacts = [ArtifactRef.model_validate(ref) for ref in state.get("artifacts", [])]
        if state.get("publish_status") == "published":
            return state
        if state.get("stopped_at_limit"):
            raise failures.failure(ErrorCode.STOPPED_AT_LIMIT, continuing.stopped(self._message))
        if self._message.part and acceptance_rules.is_declined(state):
            raise failures.plan_declined()
        raise failures.failure(ErrorCode.STOPPED_BY_PERSON, "Stopped by a person's answer; nothing was published.")

    def _first_state(self, scaffold: ScaffoldResult) -> dict[str, Any]:
        return {
            "task_id": self._message.task_id,
            "project_id": self._message.project_id,
            "repository": self._repository,
            "worker_id": self._worker_id,
            "branch": continuing.branch(self._message),
            "base_commit": scaffold.commit,
            "verified_base": scaffold.commit,
            "turn_timeout_s": self._message.turn_timeout_s,
            "max_rounds": self._message.max_rounds,
            **self._planned_state(),
            **review_rules.first_state(self._message),
            **continuing.first_state(self._message),
        }

    def _planned_state(self) -> dict[str, Any]:
        """What the nodes that older messages do not ask for need besides."""
        message = self._message
        asked: dict[str, Any] = {"acceptance": message.acceptance.value, "plan_approval": message.plan_approval.value}
        if not acceptance_rules.is_planned(asked):
            return {}
        spec = rules.spec_of(message).model_dump(mode="json")
        judge = {"judge": message.agent.value, "user_id": message.user_id}
        if message.part:
            asked["part"] = message.part.model_dump(mode="json")
        return {**asked, **judge, "project_name": self._name, "spec": spec}

    def _entered(self, node: str, state: dict[str, Any]) -> None:
        self._state, self._green = dict(state), continuing.green_at(node, state) or self._green
        if node == "approve":
            self._ledger.note(acceptance_rules.shown_plan(state))
        if node not in _STAGES:
            return
        self._verified = str(state.get("commit") or "")
        stage, percent, project_status = _STAGES[node]
        texts = {
            "develop": f"The Developer is working, turn {state.get('turn', 0) + 1}.",
            "verify": f"The Tester is running the project's own checks at {str(state.get('commit'))[:12]}.",
            "specify": "Saying what done means.",
            "review": f"The change of {str(state.get('commit'))[:12]} is read by {state.get('reviewer')}.",
            "accept": f"The service of {str(state.get('commit'))[:12]} is checked against the description.",
            "publish": f"The checks are {rules.green(figures_of(state))}; publishing the commit.",
        }
        self._ledger.stage(stage, texts[node], percent=percent, project_status=project_status)

    async def _ask(self, interrupt: dict[str, Any], state: dict[str, Any]) -> str | dict[str, Any]:
        self._artifacts = [ArtifactRef.model_validate(ref) for ref in state.get("artifacts", [])]
        plan_hash = interrupt.get("plan_hash")
        if interrupt.get("kind") == "limit":
            resumption = await self._parking.resume(resuming.limit_of(interrupt), resuming.stop_of(interrupt))
            return resumption.model_dump(mode="json")
        answer = await self._ledger.ask(
            QuestionKind.APPROVAL if plan_hash else QuestionKind.CLARIFICATION,
            str(interrupt["question"]),
            choices=[str(choice) for choice in interrupt["choices"]],
            reminder=timedelta(seconds=self._message.question_reminder_s),
            plan_hash=plan_hash,
            wording=QuestionWording.model_validate(interrupt["wording"]) if interrupt["wording"] else None,
        )
        return answer.text

    async def _complete(self, state: dict[str, Any]) -> EngineeringResult:
        commit, branch = str(state["commit"]), str(state["branch"])
        summary = str(state.get("summary") or "")
        found = [*(state.get("judged") or state.get("criteria", [])), *state.get("unchecked", [])]
        criteria = fitting([Criterion.model_validate(one) for one in found])
        screenshots = [str(uri) for uri in state.get("screenshots", [])]
        review, figures = review_rules.reviewed(state), figures_of(state)
        if state.get("judging"):
            # What an attempt that a limit has stopped was shown may be left.
            await stopping.stop_judges(self._message, state, self._ledger)
        result: dict[str, str | int | None] = {
            "commit_sha": commit,
            "branch": branch,
            "repository": self._repository,
            "summary": summary,
            **rules.screenshots_for_people(screenshots),
            **rules.review_for_people(review),
            **rules.figures_for_people(figures),
        }
        await self._ledger.finish(
            TaskState.COMPLETED,
            f"Commit {commit[:12]} is on main, its checks are {rules.green(figures)}. {summary}",
            result=result,
            artifacts=self._artifacts,
            criteria=criteria,
        )
        return EngineeringResult(
            request_id=self._message.request_id,
            status=ResultStatus.SUCCESS,
            duration_ms=workflow.time_ns() // 1_000_000 - self._started_ms,
            files_changed=list(state.get("files_changed", [])),
            commit_sha=commit,
            branch=branch,
            summary=summary,
            criteria=criteria,
            screenshots=screenshots,
            review=review,
            figures=figures,
        )

    async def _record_cancellation(self, *, unheard: bool) -> None:
        self._ledger.note("Cancelling: stopping the agent and the tests.")
        if unheard:
            await stopping.stop_steps(self._message, self._state, self._name, self._verified)
        await stopping.stop_judges(self._message, self._state, self._ledger)
        await self._cancel_agent_worker()
        status = ProjectStatus.SCAFFOLDED if self._scaffolded else ProjectStatus.DRAFT
        await self._ledger.finish(
            TaskState.CANCELLED,
            "Cancelled; the agent and the tests have stopped.",
            result=continuing.left_behind(self._message, self._state, self._green),
            project_status=status,
            artifacts=self._artifacts,
        )

    async def _record_failure(self, error: BaseException) -> None:
        await stopping.stop_judges(self._message, self._state, self._ledger)
        await self._cancel_agent_worker()
        code, message = failures.code_and_message(self._reason(error))
        status = ProjectStatus.FAILED if self._scaffolded else ProjectStatus.SCAFFOLD_FAILED
        stopped = code == ErrorCode.STOPPED_AT_LIMIT
        await self._ledger.finish(
            TaskState.CANCELLED if stopped else TaskState.FAILED,
            message if stopped else f"Engineering failed: {message}",
            result=continuing.left_behind(self._message, self._state, self._green),
            error_code=code,
            error=message,
            project_status=status,
            artifacts=self._artifacts,
        )

    def _reason(self, error: BaseException) -> BaseException:
        """The reason for a failure. If an agent worker has ended, why it ended says more than that it did."""
        worker = self._worker
        if failures.code_and_message(error)[0] != ErrorCode.WORKFLOW_NOT_RUNNING or worker is None:
            return error
        ended = worker.exception() if worker.done() and not worker.cancelled() else None
        return ended if ended is not None and not is_cancelled_exception(ended) else error

    # Agent worker ----------------------------------------------------------------------------------------

    async def _start_agent_worker(self) -> None:
        command = AgentWorkerRun(
            request_id=f"{self._message.task_id}/create",
            correlation_id=self._message.correlation_id,
            timestamp=workflow.now(),
            worker_id=self._worker_id,
            actor=self._message.actor,
            user_id=self._message.user_id,
            is_shown=True,
            takes_up=True,
            config=WorkerConfig(name=self._name, agent=self._message.agent, capabilities=["git", "python"]),
            context={
                "project_id": self._message.project_id,
                "task_id": self._message.task_id,
                "user_id": str(self._message.user_id),
                "repository": self._repository,
                "branch": continuing.branch(self._message),
                "task_markdown": rules.task_markdown(self._message),
            },
        )
        self._worker = await workflow.start_child_workflow(
            WorkflowName.AGENT_WORKER,
            command,
            id=ids.agent_worker_workflow_id(self._worker_id),
            result_type=AgentWorkerResult,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            search_attributes=attributes(
                self._message.project_id, self._name, self._message.task_id, self._message.user_id
            ),
            static_summary=f"Agent worker ({self._message.agent.value}) for {self._name}",
        )

    async def _close_agent_worker(self) -> None:
        if self._worker is None:
            return
        await workflow.execute_activity_method(
            DepartmentActivities.close_worker,
            DeleteWorkerCommand(
                request_id=f"{self._message.task_id}/delete",
                worker_id=self._worker_id,
                correlation_id=self._message.correlation_id,
                timestamp=workflow.now(),
            ),
            **options.named(options.SHORT, "Close the agent worker"),
        )
        await self._worker

    async def _cancel_agent_worker(self) -> None:
        """Stop the agent worker and wait until it has confirmed that nothing of it runs."""
        if self._worker is None or self._worker.done():
            return
        try:
            await cancel_in_any_run(self._worker, ids.agent_worker_workflow_id(self._worker_id))
        except FailureError as error:
            if not is_cancelled_exception(error):
                self._ledger.note(f"The agent worker ended with: {failures.code_and_message(error)[1]}")

    # Activities ------------------------------------------------------------------------------------------

    async def _generate(self) -> ScaffoldResult:
        spec = rules.spec_of(self._message)
        return await workflow.execute_activity_method(
            RepositoryActivities.scaffold,
            ScaffolderMessage(
                request_id=f"{self._message.task_id}/scaffold",
                correlation_id=self._message.correlation_id,
                timestamp=workflow.now(),
                project_id=self._message.project_id,
                repo_full_name=self._repository,
                project_name=self._name,
                modules=[module.value for module in spec.modules],
                description=spec.description,
                branch=continuing.branch(self._message),
            ),
            **options.named(options.REPOSITORY, f"Scaffold {self._repository}"),
        )
