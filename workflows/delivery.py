"""Delivery: one wish to one URL: engineering, then deploy.

A large wish is divided: its parts are built one after the other, each a child workflow with a commit of its own, and
deployed once, when all are on main.

Engineering and deploy are child workflows, so cancel flows down and is confirmed upwards; questions are answered
where they were asked. The delivery itself asks only if a limit of a model stops who divides. If the project's deploy is
already running for another task, the delivery hands its commit over and waits for the result. Signal `question_below`
says that a child asks a person, so that the delivery waits too. The final state is written on success, failure and
cancellation.
"""

import asyncio

from temporalio import workflow
from temporalio.common import TypedSearchAttributes
from temporalio.exceptions import ActivityError, ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.departments import DepartmentActivities
    from contracts import ids
    from contracts.departments import (
        DeliveryMessage,
        DeliveryResult,
        DeployMessage,
        DeployResult,
        EngineeringMessage,
        EngineeringResult,
    )
    from contracts.errors import ErrorCode
    from contracts.names import SignalName, UpdateName, WorkflowName
    from contracts.parts import TaskPart
    from contracts.questions import AnswerAccepted, AnswerCommand, QuestionDTO
    from contracts.states import ResultStatus, Stage, TaskKind, TaskState
    from contracts.subjects import Subject
    from workflows import failures, options, patches, rules
    from workflows.ledger import Ledger
    from workflows.limits import continuing
    from workflows.parts import dividing, requests, wording
    from workflows.parts.board import Board
    from workflows.visibility import attributes


@workflow.defn(name=WorkflowName.DELIVERY)
class DeliveryWorkflow:
    @workflow.init
    def __init__(self, message: DeliveryMessage) -> None:
        self._message = message
        self._started_ms = workflow.time_ns() // 1_000_000
        self._board = Board(message.parts)
        self._ledger = Ledger(
            kind=TaskKind.DELIVERY,
            task_id=message.task_id,
            subject=Subject.project(message.project_id),
            user_id=message.user_id,
            title=message.title or message.spec.description or message.project_name,
            request_id=message.request_id,
        )

    @workflow.run
    async def run(self, message: DeliveryMessage) -> DeliveryResult:
        try:
            acknowledged = await self._ledger.open(f"Delivery of {message.project_name} has started.")
            if not (acknowledged.closed and patches.ended_stays_ended()):
                return await self._deliver()
        except failures.ENDINGS as error:
            await self._record_end(error)
            if failures.is_cancellation(error):
                raise asyncio.CancelledError from error
            raise
        raise failures.already_ended()

    # Handlers --------------------------------------------------------------------------------------------

    @workflow.signal(name=SignalName.QUESTION_BELOW)
    def question_below(self, question: QuestionDTO) -> None:
        self._ledger.hear_from_below(question)

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

    async def _deliver(self) -> DeliveryResult:
        self._ledger.stage(Stage.ENGINEERING, "Engineering turns the description into a verified commit.", percent=5)
        built = continuing.built(self._message)
        if built is not None:
            self._ledger.note(continuing.told_of_built(built))
        else:
            built = await self._build()
        failures.stop_if_cancelled()
        self._ledger.stage(Stage.DEPLOY, f"Deploying commit {str(built.commit_sha)[:12]}.", percent=60)
        live = await self._deploy(built)
        return await self._complete(built, live)

    async def _build(self) -> EngineeringResult:
        """In one piece, or, if the wish is a large one, in parts."""
        message = self._message
        if message.in_parts and not message.parts:
            plan = await dividing.divide(message, self._ledger)
            self._board = Board(plan if len(plan) > 1 else [])
        if not self._board.total:
            return await self._engineer(requests.engineering(message))
        self._show_parts(self._board.told())
        return await self._build_parts()

    async def _build_parts(self) -> EngineeringResult:
        """One after the other, since all change the same repository. What does not wait for a failed one goes on."""
        failed: list[tuple[str, str]] = []
        for number, task_id, result in continuing.parts_built(self._message):
            self._board.complete(number, task_id, result)
        while (part := self._board.next()) is not None:
            failures.stop_if_cancelled()
            try:
                await self._build_part(part)
            except ChildWorkflowError as error:
                if failures.is_cancellation(error) or failures.ends_all_parts(error):
                    raise
                failed.append(self._fail_part(part, error))
        if failed:
            code, told = failed[0]
            raise failures.failure(code, f"{told} {self._board.left()}")
        return wording.together(f"{self._message.request_id}/engineering", self._board.results())

    async def _build_part(self, part: TaskPart) -> None:
        request = requests.part(self._message, self._board, part)
        self._board.begin(part.number, request.task_id)
        self._show_parts(f"Part {part.number} of {self._board.total} begins: {part.title}.")
        result = await self._engineer(request)
        self._board.complete(part.number, request.task_id, result)
        self._show_parts(f"Part {part.number} of {self._board.total} is on main, commit {str(result.commit_sha)[:12]}.")

    def _fail_part(self, part: TaskPart, error: BaseException) -> tuple[str, str]:
        """Block what waits for it; its code, and its reason for people."""
        blocked = self._board.fail(part.number)
        code, reason = failures.code_and_message(error)
        told = f"Part {part.number} ({part.title.rstrip('.')}) has failed: {reason}"
        waits = f" It blocks {', '.join(map(str, blocked))}." if blocked else ""
        self._show_parts(f"{told}{waits}")
        return code, told

    def _show_parts(self, told: str) -> None:
        self._ledger.parts = self._board.shown()
        self._ledger.note(told)

    async def _engineer(self, request: EngineeringMessage) -> EngineeringResult:
        part = f" {request.part.number} of {request.part.total}" if request.part else ""
        result: EngineeringResult = await workflow.execute_child_workflow(
            WorkflowName.ENGINEERING,
            request,
            id=ids.engineering_workflow_id(request.task_id),
            result_type=EngineeringResult,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            search_attributes=self._attributes(request.task_id),
            static_summary=f"Engineering{part}: {self._message.project_name}",
            static_details=self._details(request.task_id),
        )
        return result

    async def _deploy(self, built: EngineeringResult) -> DeployResult:
        message = self._message
        request = DeployMessage(
            task_id=ids.child_task_id(message.task_id, TaskKind.DEPLOY),
            request_id=f"{message.request_id}/deploy",
            correlation_id=message.correlation_id,
            timestamp=workflow.now(),
            actor=message.actor,
            project_id=message.project_id,
            project_name=message.project_name,
            project_slug=message.project_slug,
            repository=message.repository,
            user_id=message.user_id,
            commit=built.commit_sha,
            require_approval=message.require_approval,
            question_reminder_s=message.question_reminder_s,
            watch_s=message.watch_s,
            parent_task_id=message.task_id,
            parent_workflow_id=workflow.info().workflow_id,
        )
        while True:
            try:
                return await self._deploy_as_child(request)
            except WorkflowAlreadyStartedError:
                self._ledger.note("A deploy of this project is running; waiting for its turn.")
            try:
                return await self._join_deploy(request)
            except ActivityError as error:
                if failures.is_cancellation(error):
                    await self._withdraw_deploy(request)
                    raise
                if failures.code_and_message(error)[0] != ErrorCode.WORKFLOW_NOT_RUNNING:
                    raise

    async def _deploy_as_child(self, request: DeployMessage) -> DeployResult:
        result: DeployResult = await workflow.execute_child_workflow(
            WorkflowName.DEPLOY,
            request,
            id=ids.deploy_workflow_id(request.project_slug),
            result_type=DeployResult,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            search_attributes=self._attributes(request.task_id),
            static_summary=f"Deploy: {self._message.project_name}",
            static_details=self._details(request.task_id),
        )
        return result

    def _attributes(self, task_id: str) -> TypedSearchAttributes:
        message = self._message
        return attributes(message.project_id, message.project_name, task_id, message.user_id)

    async def _complete(self, built: EngineeringResult, live: DeployResult) -> DeliveryResult:
        await self._ledger.finish(
            TaskState.COMPLETED,
            f"{self._message.project_name} is live at {live.deployed_url}.",
            result={
                "deployed_url": live.deployed_url,
                "commit_sha": live.commit_sha or built.commit_sha,
                "release_id": live.release_id,
                "summary": built.summary,
                **rules.links_for_people(live.links),
                **rules.screenshots_for_people(built.screenshots),
                **rules.review_for_people(built.review),
                **rules.figures_for_people(built.figures),
            },
            criteria=built.criteria,
        )
        return DeliveryResult(
            request_id=self._message.request_id,
            status=ResultStatus.SUCCESS,
            duration_ms=workflow.time_ns() // 1_000_000 - self._started_ms,
            deployed_url=live.deployed_url,
            commit_sha=built.commit_sha,
            release_id=live.release_id,
            summary=built.summary,
            links=live.links,
            criteria=built.criteria,
        )

    async def _record_end(self, error: BaseException) -> None:
        self._board.halt()
        self._ledger.parts = self._board.shown()
        if failures.is_cancellation(error):
            await self._ledger.finish(TaskState.CANCELLED, "Cancelled; all of its work has stopped.")
            return
        code, message = failures.code_and_message(error)
        stopped = code == ErrorCode.STOPPED_AT_LIMIT
        state = TaskState.CANCELLED if stopped else TaskState.FAILED
        told = message if stopped else f"Delivery failed: {message}"
        await self._ledger.finish(state, told, error_code=code, error=message)

    def _details(self, task_id: str) -> str:
        message = self._message
        return (
            f"Project `{message.project_id}`, task `{task_id}` of delivery `{message.task_id}`, asked by user "
            f"{message.user_id}.\n\n> {' '.join(message.spec.description.split())[:180]}"
        )

    # Activities ------------------------------------------------------------------------------------------

    async def _join_deploy(self, request: DeployMessage) -> DeployResult:
        return await workflow.execute_activity_method(
            DepartmentActivities.join_deploy,
            request,
            **options.named(options.JOIN, "Wait for the deploy that is running"),
        )

    async def _withdraw_deploy(self, request: DeployMessage) -> None:
        await workflow.execute_activity_method(
            DepartmentActivities.withdraw_deploy,
            request,
            **options.named(options.WAIT_FOR_WORKFLOW, "Take the deploy back"),
        )
