"""Life of one agent worker: turns one at a time, in order, each message consumed by exactly one turn.

Started by `engineering` (or by a `create` command). Updates: `send_message` answers when its turn has ended,
`send_file`, `delete`. Query `status`. Nothing runs between turns. The agent commits locally; after each turn the
platform pushes the work branch and compares the remote. Cancelling it stops the running turn, confirmed.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.agent import AgentActivities
    from activities.repository import RepositoryActivities
    from contracts.agent_workers import (
        AgentWorkerResult,
        AgentWorkerStatus,
        CreateWorkerCommand,
        DeleteWorkerCommand,
        DeleteWorkerResponse,
        SendFileCommand,
        SendFileResponse,
        SendMessageCommand,
        SendMessageResponse,
        TurnOutcome,
    )
    from contracts.errors import ErrorCode
    from contracts.names import QueryName, Queue, UpdateName, WorkflowName
    from contracts.states import AgentWorkerState
    from contracts.steps import (
        PushedBranch,
        TurnRequest,
        WorkspaceFile,
        WorkspacePush,
        WorkspaceReady,
        WorkspaceRemoval,
        WorkspaceRequest,
    )
    from workflows import failures, options


@workflow.defn(name=WorkflowName.AGENT_WORKER)
class AgentWorkerWorkflow:
    @workflow.init
    def __init__(self, command: CreateWorkerCommand) -> None:
        self._command = command
        self._worker_id = command.worker_id or workflow.info().workflow_id.removeprefix("worker/")
        self._state = AgentWorkerState.CREATING
        self._inbox: list[SendMessageCommand] = []
        self._files: list[SendFileCommand] = []
        self._known: set[str] = set()
        self._answers: dict[str, SendMessageResponse] = {}
        self._file_answers: dict[str, SendFileResponse] = {}
        self._turns = 0
        self._current: str | None = None
        self._session_id: str | None = None
        self._ready: WorkspaceReady | None = None
        self._deleted = False
        self._over = False
        self._why = (ErrorCode.WORKFLOW_NOT_RUNNING.value, "The agent worker ended before this was done.")
        self._turn_task: asyncio.Task[TurnOutcome] | None = None

    @workflow.run
    async def run(self, command: CreateWorkerCommand) -> AgentWorkerResult:
        try:
            await self._prepare()
            while not self._deleted:
                failures.stop_if_cancelled()
                self._state = AgentWorkerState.IDLE
                await workflow.wait_condition(lambda: bool(self._deleted or self._inbox or self._files))
                await self._work_off()
            self._state = AgentWorkerState.DELETED
        except ActivityError as error:
            if failures.cancelled_unheard(error):
                raise asyncio.CancelledError from error
            if not is_cancelled_exception(error):
                self._state = AgentWorkerState.FAILED
                self._why = failures.code_and_message(error)
            raise
        finally:
            self._over = True
            self._refuse_the_rest()
            await self._remove_workspace()
            await workflow.wait_condition(workflow.all_handlers_finished)
        return AgentWorkerResult(worker_id=self._worker_id, turns=self._turns, state=self._state)

    # Handlers --------------------------------------------------------------------------------------------

    @workflow.update(name=UpdateName.SEND_MESSAGE)
    async def send_message(self, command: SendMessageCommand) -> SendMessageResponse:
        if command.request_id not in self._known:
            self._known.add(command.request_id)
            self._inbox.append(command)
        await workflow.wait_condition(lambda: command.request_id in self._answers)
        return self._answers[command.request_id]

    @send_message.validator
    def _may_send_message(self, command: SendMessageCommand) -> None:
        self._refuse_when_over(command.worker_id)

    @workflow.update(name=UpdateName.SEND_FILE)
    async def send_file(self, command: SendFileCommand) -> SendFileResponse:
        if command.request_id not in self._known:
            self._known.add(command.request_id)
            self._files.append(command)
        await workflow.wait_condition(lambda: command.request_id in self._file_answers)
        return self._file_answers[command.request_id]

    @send_file.validator
    def _may_send_file(self, command: SendFileCommand) -> None:
        self._refuse_when_over(command.worker_id)

    @workflow.update(name=UpdateName.DELETE)
    def delete(self, command: DeleteWorkerCommand) -> DeleteWorkerResponse:
        self._deleted = True
        if self._turn_task is not None:
            self._turn_task.cancel()
        return DeleteWorkerResponse(request_id=command.request_id, success=True)

    @delete.validator
    def _may_delete(self, command: DeleteWorkerCommand) -> None:
        if command.worker_id != self._worker_id:
            raise failures.failure(ErrorCode.NOT_FOUND, f"This is agent worker {self._worker_id}.")

    @workflow.query(name=QueryName.STATUS)
    def status(self) -> AgentWorkerStatus:
        return AgentWorkerStatus(
            worker_id=self._worker_id,
            state=self._state,
            turns=self._turns,
            current_request=self._current,
            session_id=self._session_id,
        )

    def _refuse_when_over(self, worker_id: str) -> None:
        if worker_id != self._worker_id:
            raise failures.failure(ErrorCode.NOT_FOUND, f"This is agent worker {self._worker_id}.")
        if self._deleted or self._over:
            raise failures.failure(ErrorCode.WORKFLOW_NOT_RUNNING, "This agent worker has ended; create another.")

    # Phases ----------------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        workflow.set_current_details(f"Agent worker `{self._worker_id}`: preparing its workspace")
        self._ready = await self._clone()
        task = self._command.context.get("task_markdown")
        if task:
            await self._write(WorkspaceFile(worker_id=self._worker_id, path="TASK.md", content=task))

    async def _work_off(self) -> None:
        while self._files:
            await self._take_file(self._files.pop(0))
        while self._inbox and not self._deleted:
            failures.stop_if_cancelled()
            await self._take_turn(self._inbox.pop(0))

    async def _take_file(self, command: SendFileCommand) -> None:
        try:
            await self._write(WorkspaceFile(worker_id=self._worker_id, path=command.path, content=command.content))
        except ActivityError as error:
            if failures.is_cancellation(error):
                raise
            _, message = failures.code_and_message(error)
            answer = SendFileResponse(request_id=command.request_id, success=False, error=message)
        else:
            answer = SendFileResponse(request_id=command.request_id, success=True)
        self._file_answers[command.request_id] = answer

    async def _take_turn(self, command: SendMessageCommand) -> None:
        self._turns += 1
        self._state, self._current = AgentWorkerState.RUNNING, command.request_id
        workflow.set_current_details(f"Agent worker `{self._worker_id}`: turn {self._turns}")
        self._turn_task = asyncio.create_task(self._turn_and_push(command))
        try:
            outcome = await self._turn_task
        except ActivityError as error:
            if failures.cancelled_unheard(error) or self._deleted:
                await self._stop_turn(command)
            if failures.is_cancellation(error):
                if self._deleted and workflow.cancellation_reason() is None:
                    return  # whoever waits for it is told at the end
                raise
            code, message = failures.code_and_message(error)
            answer = SendMessageResponse(request_id=command.request_id, success=False, error=message, error_code=code)
        else:
            answer = SendMessageResponse(
                request_id=command.request_id,
                success=outcome.status != "failed",
                response=outcome.summary,
                outcome=outcome,
            )
        finally:
            self._turn_task, self._current = None, None
        self._answers[command.request_id] = answer

    async def _turn_and_push(self, command: SendMessageCommand) -> TurnOutcome:
        outcome = await self._run_turn(command)
        self._session_id = outcome.session_id or self._session_id
        if self._ready is None or not self._repository:
            return outcome
        pushed = await self._push(self._ready.base_commit)
        return outcome.model_copy(
            update={
                "commit": pushed.commit,
                "base_commit": pushed.base_commit,
                "files_changed": pushed.files_changed[:500],
            }
        )

    def _refuse_the_rest(self) -> None:
        """Whoever still waits is told that nothing more will come, and why."""
        code, over = self._why
        for request_id in sorted(self._known):
            message = SendMessageResponse(request_id=request_id, success=False, error=over, error_code=code)
            self._answers.setdefault(request_id, message)
            self._file_answers.setdefault(
                request_id, SendFileResponse(request_id=request_id, success=False, error=over)
            )

    # Activities ------------------------------------------------------------------------------------------

    @property
    def _repository(self) -> str:
        return self._command.context.get("repository", "")

    @property
    def _branch(self) -> str:
        return self._command.context.get("branch", "")

    async def _clone(self) -> WorkspaceReady:
        return await workflow.execute_activity_method(
            RepositoryActivities.prepare,
            WorkspaceRequest(worker_id=self._worker_id, repository=self._repository, branch=self._branch),
            **options.named(options.REPOSITORY, f"Clone {self._repository} for the agent"),
        )

    async def _write(self, file: WorkspaceFile) -> None:
        await workflow.execute_activity_method(
            RepositoryActivities.write_file, file, **options.named(options.REPOSITORY, f"Write {file.path}")
        )

    def _turn(self, command: SendMessageCommand) -> TurnRequest:
        return TurnRequest(
            worker_id=self._worker_id,
            turn=self._turns,
            request_id=command.request_id,
            task_id=self._command.context.get("task_id", self._worker_id),
            project_id=self._command.context.get("project_id", self._worker_id),
            agent=self._command.config.agent,
            message=command.message,
            session_id=self._session_id,
            timeout_s=command.timeout,
            env_vars=self._command.config.env_vars,
        )

    @property
    def _host_queue(self) -> str:
        return self._ready.host_queue if self._ready else Queue.AGENTS

    async def _run_turn(self, command: SendMessageCommand) -> TurnOutcome:
        request, queue = self._turn(command), self._host_queue
        result = await workflow.execute_activity_method(
            AgentActivities.run_turn,
            request,
            **options.named(options.on_queue(options.TURN, queue), f"Turn {self._turns} of {request.agent.value}"),
        )
        return result.outcome

    async def _stop_turn(self, command: SendMessageCommand) -> None:
        await workflow.execute_activity_method(
            AgentActivities.stop_turn,
            self._turn(command),
            **options.named(options.on_queue(options.STOP, self._host_queue), f"Stop turn {self._turns}"),
        )

    async def _push(self, base_commit: str) -> PushedBranch:
        return await workflow.execute_activity_method(
            RepositoryActivities.push,
            WorkspacePush(
                worker_id=self._worker_id, repository=self._repository, branch=self._branch, base_commit=base_commit
            ),
            **options.named(options.REPOSITORY, f"Push {self._branch} and compare the remote"),
        )

    async def _remove_workspace(self) -> None:
        """A workspace that cannot be removed does not undo the work done in it."""
        try:
            await workflow.execute_activity_method(
                RepositoryActivities.remove,
                WorkspaceRemoval(worker_id=self._worker_id),
                **options.named(options.REPOSITORY, "Remove the workspace"),
            )
        except ActivityError as error:
            if not failures.is_cancellation(error):
                workflow.logger.error("a workspace was left behind", extra={"why": str(error.cause)})
