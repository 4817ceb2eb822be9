"""Life of one agent worker: turns one at a time, in order, each message consumed by exactly one turn.

Started by `engineering` (or by a `create` command). Updates: `send_message` answers when its turn has ended,
`send_file`, `delete`. Query `status`. Nothing runs between turns. The agent commits locally; after each turn the
platform pushes the work branch and compares the remote; without a repository it works in a plain folder. Cancelling
it stops the running turn, confirmed. Before Temporal's limits it continues as new, between turns and when everybody
has their answer; what was taken is remembered.
"""

import asyncio
from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.agent import AgentActivities
    from activities.repository import RepositoryActivities
    from contracts.agent_workers import (
        AgentWorkerMemory,
        AgentWorkerResult,
        AgentWorkerRun,
        AgentWorkerStatus,
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
    from contracts.wording import counted
    from workflows import failures, options, rules

# What is handed from run to run must stay below the 256 KB of an input: request ids, and bytes of answers. The newest
# answer of a message fits with the longest texts: it may be on its way to somebody who asks again.
_TAKEN = 300
_BYTES_OF_RESPONSES = 120_000
_BYTES_OF_FILE_RESPONSES = 10_000


@workflow.defn(name=WorkflowName.AGENT_WORKER)
class AgentWorkerWorkflow:
    @workflow.init
    def __init__(self, command: AgentWorkerRun) -> None:
        memory = command.memory or AgentWorkerMemory(turns=0, host_queue=Queue.AGENTS)
        self._command = command
        self._worker_id = command.worker_id or workflow.info().workflow_id.removeprefix("worker/")
        self._state = AgentWorkerState.CREATING
        self._inbox: list[SendMessageCommand] = []
        self._files: list[SendFileCommand] = []
        self._known: dict[str, None] = dict.fromkeys(memory.taken)
        self._answers = {answer.request_id: answer for answer in memory.responses}
        self._file_answers = {answer.request_id: answer for answer in memory.file_responses}
        self._forgotten = self._known.keys() - self._answers.keys() - self._file_answers.keys()
        self._turns = memory.turns
        self._updates = 0
        self._waiting = 0
        self._current: str | None = None
        self._session_id = memory.session_id
        self._agent = memory.agent or command.config.agent
        self._base_commit = memory.base_commit
        self._host_queue = memory.host_queue
        self._deleted = False
        self._hands_over = False
        self._over = False
        self._why = (ErrorCode.WORKFLOW_NOT_RUNNING.value, "The agent worker ended before this was done.")
        self._turn_task: asyncio.Task[TurnOutcome] | None = None

    @workflow.run
    async def run(self, command: AgentWorkerRun) -> AgentWorkerResult:
        try:
            if command.memory is None:
                await self._prepare()
            workflow.set_current_details(f"Agent worker `{self._worker_id}`: {counted(self._turns, 'turn')} so far")
            await self._serve()
            failures.stop_if_cancelled()
            self._hands_over = not self._deleted
            self._state = AgentWorkerState.DELETED if self._deleted else AgentWorkerState.IDLE
        except ActivityError as error:
            if failures.cancelled_unheard(error):
                raise asyncio.CancelledError from error
            if not is_cancelled_exception(error):
                self._state = AgentWorkerState.FAILED
                self._why = failures.code_and_message(error)
            raise
        finally:
            if not self._hands_over:
                await self._end()
        if self._hands_over:
            workflow.continue_as_new(self._next_run())
        return AgentWorkerResult(worker_id=self._worker_id, turns=self._turns, state=self._state)

    # Handlers --------------------------------------------------------------------------------------------

    @workflow.update(name=UpdateName.SEND_MESSAGE)
    async def send_message(self, command: SendMessageCommand) -> SendMessageResponse:
        if self._is_new(command.request_id):
            self._inbox.append(command)
        await self._waited_for(lambda: command.request_id in self._answers)
        return self._answers[command.request_id]

    @send_message.validator
    def _may_send_message(self, command: SendMessageCommand) -> None:
        self._refuse_when_over(command.worker_id)
        self._refuse_what_cannot_be_taken(command.request_id, as_message=True)

    @workflow.update(name=UpdateName.SEND_FILE)
    async def send_file(self, command: SendFileCommand) -> SendFileResponse:
        if self._is_new(command.request_id):
            self._files.append(command)
        await self._waited_for(lambda: command.request_id in self._file_answers)
        return self._file_answers[command.request_id]

    @send_file.validator
    def _may_send_file(self, command: SendFileCommand) -> None:
        self._refuse_when_over(command.worker_id)
        self._refuse_what_cannot_be_taken(command.request_id, as_message=False)

    @workflow.update(name=UpdateName.DELETE)
    def delete(self, command: DeleteWorkerCommand) -> DeleteWorkerResponse:
        self._deleted = True
        if self._turn_task is not None:
            self._turn_task.cancel()
        return DeleteWorkerResponse(request_id=command.request_id, success=True)

    @delete.validator
    def _may_delete(self, command: DeleteWorkerCommand) -> None:
        if command.worker_id != self._worker_id:
            raise failures.failure(ErrorCode.NOT_FOUND, f"This is agent worker {self._worker_id}, not the named one.")

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
            raise failures.failure(ErrorCode.NOT_FOUND, f"This is agent worker {self._worker_id}, not the named one.")
        if self._state is AgentWorkerState.FAILED:
            raise failures.failure(*self._why)
        if self._deleted or self._over:
            raise failures.failure(ErrorCode.WORKFLOW_NOT_RUNNING, "This agent worker has ended; create another.")

    def _refuse_what_cannot_be_taken(self, request_id: str, *, as_message: bool) -> None:
        if request_id in self._forgotten:
            reason = "This request was answered earlier, and its answer is no longer stored. Use a new request id."
            raise failures.failure(ErrorCode.CONFLICT, reason)
        # It would wait for an answer of its own kind, which never comes.
        if request_id in self._known and self._is_message(request_id) is not as_message:
            reason = "A message and a file have the same request id; give each its own."
            raise failures.failure(ErrorCode.CONFLICT, reason)
        if self._waiting >= self._command.max_waiting or self._updates >= 2 * self._command.updates_per_run:
            waiting = counted(self._waiting, "message")
            reason = f"This agent worker has {waiting} waiting already. Send this one again later."
            raise failures.failure(ErrorCode.WORKFLOW_BUSY, reason)

    def _is_message(self, request_id: str) -> bool:
        """Whether a known request is a message; else it is a file."""
        waits = any(message.request_id == request_id for message in self._inbox)
        return waits or request_id == self._current or request_id in self._answers

    def _is_new(self, request_id: str) -> bool:
        """Whether a request is seen for the first time; remembers it."""
        self._updates += 1
        is_new = request_id not in self._known
        self._known[request_id] = None
        return is_new

    async def _waited_for(self, answered: Callable[[], bool]) -> None:
        self._waiting += 1
        try:
            await workflow.wait_condition(answered)
        finally:
            self._waiting -= 1

    # Phases ----------------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        workflow.set_current_details(f"Agent worker `{self._worker_id}`: preparing its workspace")
        ready = await self._make_workspace()
        self._base_commit, self._host_queue = ready.base_commit, ready.host_queue
        task = self._command.context.get("task_markdown")
        if task:
            await self._write(WorkspaceFile(worker_id=self._worker_id, path="TASK.md", content=task))

    async def _serve(self) -> None:
        """Take turns until the agent worker is deleted, or until this run may hand over to the next."""
        while not self._deleted and not self._may_hand_over():
            failures.stop_if_cancelled()
            self._state = AgentWorkerState.IDLE
            await workflow.wait_condition(lambda: self._deleted or self._has_work() or self._may_hand_over())
            await self._work_off()

    def _has_work(self) -> bool:
        return bool(self._inbox or self._files)

    def _may_hand_over(self) -> bool:
        enough = self._updates >= self._command.updates_per_run or workflow.info().is_continue_as_new_suggested()
        return enough and not self._has_work() and workflow.all_handlers_finished()

    def _next_run(self) -> AgentWorkerRun:
        # What is in the workspace already need not go through every history.
        context = {name: value for name, value in self._command.context.items() if name != "task_markdown"}
        memory = AgentWorkerMemory(
            turns=self._turns,
            session_id=self._session_id,
            agent=self._agent,
            base_commit=self._base_commit,
            host_queue=self._host_queue,
            taken=list(self._known)[-_TAKEN:],
            responses=rules.newest_within(list(self._answers.values()), _BYTES_OF_RESPONSES),
            file_responses=rules.newest_within(list(self._file_answers.values()), _BYTES_OF_FILE_RESPONSES),
        )
        return self._command.model_copy(update={"context": context, "memory": memory})

    async def _end(self) -> None:
        self._over = True
        self._refuse_the_rest()
        await self._remove_workspace()
        await workflow.wait_condition(workflow.all_handlers_finished)

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
        self._take_over(command)
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

    def _take_over(self, command: SendMessageCommand) -> None:
        """Another agent goes on in the same workspace. A session belongs to the agent that has begun it."""
        if command.agent not in {None, self._agent} or command.fresh_session:
            self._agent, self._session_id = command.agent or self._agent, None

    async def _turn_and_push(self, command: SendMessageCommand) -> TurnOutcome:
        outcome = await self._run_turn(command)
        self._session_id = outcome.session_id or self._session_id
        if self._base_commit is None:
            return outcome
        pushed = await self._push(self._base_commit)
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

    @property
    def _user_id(self) -> int | None:
        told = self._command.context.get("user_id", "")
        return int(told) if told.isdecimal() else None

    async def _make_workspace(self) -> WorkspaceReady:
        what = f"Clone {self._repository} for the agent" if self._repository else "Make a folder for the agent"
        return await workflow.execute_activity_method(
            RepositoryActivities.prepare,
            WorkspaceRequest(worker_id=self._worker_id, repository=self._repository or None, branch=self._branch),
            **options.named(options.REPOSITORY, what),
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
            agent=self._agent,
            message=command.message,
            session_id=self._session_id,
            timeout_s=command.timeout,
            env_vars=self._command.config.env_vars,
            user_id=self._user_id,
            model=command.model,
        )

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
