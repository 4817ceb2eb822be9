"""Life of one agent worker: turns one at a time, in order, each message consumed by exactly one turn.

Started by `engineering` (or by a `create` command). Updates: `send_message` answers when its turn has ended,
`send_file`, `steer` (a message for the turn that runs), `stop` (that turn ends, the agent worker stays), `delete`.
Query `status`. Nothing runs between turns; an agent worker with an idle expiry ends by itself. The agent commits
locally; after each turn the platform pushes the work branch and compares the remote, and before each turn it takes up
what people have pushed there; without a repository it works in a plain folder. Cancelling it stops the running turn,
confirmed. Before Temporal's limits it continues as new, between turns and when everybody has their answer; what was
taken is remembered.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
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
        SteerWorkerCommand,
        SteerWorkerResponse,
        StopTurnCommand,
        StopTurnResponse,
        TurnOutcome,
        WorkerLifecycleEvent,
    )
    from contracts.artifacts import ArtifactRef
    from contracts.errors import ErrorCode
    from contracts.names import QueryName, Queue, UpdateName, WorkflowName
    from contracts.states import AgentWorkerState
    from contracts.wording import counted, duration
    from contracts.worker_steps import ControlKind, ControlTaken, TurnControl, TurnLeft
    from workflows import failures, patches
    from workflows.agent_worker_parts import words
    from workflows.agent_worker_parts.branch import WorkBranch
    from workflows.agent_worker_parts.inbox import WorkerInbox
    from workflows.agent_worker_parts.record import WorkerRecord
    from workflows.agent_worker_parts.steps import WorkerSteps


@workflow.defn(name=WorkflowName.AGENT_WORKER)
class AgentWorkerWorkflow:
    @workflow.init
    def __init__(self, command: AgentWorkerRun) -> None:
        memory = command.memory or AgentWorkerMemory(turns=0, host_queue=Queue.AGENTS)
        self._command = command
        self._worker_id = command.worker_id or workflow.info().workflow_id.removeprefix("worker/")
        self._state = AgentWorkerState.CREATING
        self._resting = memory.resting
        self._inbox = WorkerInbox(command, memory)
        self._steps = WorkerSteps(self._worker_id, command)
        self._branch = WorkBranch(self._steps, command, memory)
        self._record = WorkerRecord(self._worker_id, command, memory)
        self._turns = memory.turns
        self._current: str | None = None
        self._agent = memory.agent or command.config.agent
        self._session_id = memory.session_id
        self._host_queue = memory.host_queue
        self._deleted = False
        self._hands_over = False
        self._over = False
        self._why = (ErrorCode.WORKFLOW_NOT_RUNNING.value, "The agent worker ended before this was done.")
        self._turn_task: asyncio.Task[TurnOutcome] | None = None
        self._agent_runs = False
        self._stoppable = False
        self._stop_asked = False
        self._given_up = False
        self._controls = 0

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
            await self._record.flush()
        if self._hands_over:
            workflow.continue_as_new(self._next_run())
        return AgentWorkerResult(worker_id=self._worker_id, turns=self._turns, state=self._state)

    # Handlers --------------------------------------------------------------------------------------------

    @workflow.update(name=UpdateName.SEND_MESSAGE)
    async def send_message(self, command: SendMessageCommand) -> SendMessageResponse:
        return await self._inbox.message(command)

    @send_message.validator
    def _may_send_message(self, command: SendMessageCommand) -> None:
        self._refuse_when_over(command.worker_id)
        self._inbox.refuse(command.request_id, "message")

    @workflow.update(name=UpdateName.SEND_FILE)
    async def send_file(self, command: SendFileCommand) -> SendFileResponse:
        return await self._inbox.file(command)

    @send_file.validator
    def _may_send_file(self, command: SendFileCommand) -> None:
        self._refuse_when_over(command.worker_id)
        self._inbox.refuse(command.request_id, "file")

    @workflow.update(name=UpdateName.STEER)
    async def steer(self, command: SteerWorkerCommand) -> SteerWorkerResponse:
        return await self._inbox.steer(command)

    @steer.validator
    def _may_steer(self, command: SteerWorkerCommand) -> None:
        self._refuse_when_over(command.worker_id)
        self._inbox.refuse(command.request_id, "steer")
        if not self._agent_runs and not self._inbox.knows(command.request_id):
            reason = "No turn runs now. Send it as a message: it begins the next turn."
            raise failures.failure(ErrorCode.CONFLICT, reason)

    @workflow.update(name=UpdateName.STOP)
    def stop(self, command: StopTurnCommand) -> StopTurnResponse:
        if not self._stoppable:
            return StopTurnResponse(request_id=command.request_id, success=True)
        self._stop_asked = True
        return StopTurnResponse(request_id=command.request_id, success=True, turn=self._turns)

    @stop.validator
    def _may_stop(self, command: StopTurnCommand) -> None:
        self._refuse_when_over(command.worker_id)

    @workflow.update(name=UpdateName.DELETE)
    def delete(self, command: DeleteWorkerCommand) -> DeleteWorkerResponse:
        self._deleted = True
        if self._turn_task is not None:
            self._turn_task.cancel()
        return DeleteWorkerResponse(request_id=command.request_id, success=True)

    @delete.validator
    def _may_delete(self, command: DeleteWorkerCommand) -> None:
        self._refuse_another(command.worker_id)

    @workflow.query(name=QueryName.STATUS)
    def status(self) -> AgentWorkerStatus:
        return AgentWorkerStatus(
            worker_id=self._worker_id,
            state=self._state,
            turns=self._turns,
            current_request=self._current,
            session_id=self._session_id,
        )

    def _refuse_another(self, worker_id: str) -> None:
        if worker_id != self._worker_id:
            raise failures.failure(ErrorCode.NOT_FOUND, f"This is agent worker {self._worker_id}, not the named one.")

    def _refuse_when_over(self, worker_id: str) -> None:
        self._refuse_another(worker_id)
        if self._state is AgentWorkerState.FAILED:
            raise failures.failure(*self._why)
        if self._deleted or self._over:
            raise failures.failure(ErrorCode.WORKFLOW_NOT_RUNNING, "This agent worker has ended; create another.")

    # Phases ----------------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        workflow.set_current_details(f"Agent worker `{self._worker_id}`: preparing its workspace")
        self._tell()
        ready = await self._steps.make_workspace()
        self._host_queue = ready.host_queue
        self._branch.begin(ready.base_commit)
        task = self._command.context.get("task_markdown")
        if task:
            await self._steps.write("TASK.md", task)

    async def _serve(self) -> None:
        """Take turns until the agent worker is deleted, or until this run may hand over to the next."""
        while not self._deleted and not self._may_hand_over():
            failures.stop_if_cancelled()
            self._state = self._resting
            self._tell()
            await self._wait_for_work()
            await self._work_off()

    async def _wait_for_work(self) -> None:
        expiry = self._command.idle_expiry_s
        try:
            await workflow.wait_condition(
                lambda: self._deleted or self._inbox.has_work or self._may_hand_over(),
                timeout=timedelta(seconds=expiry) if expiry else None,
            )
        except TimeoutError:
            self._deleted = True
            self._why = (
                ErrorCode.WORKFLOW_NOT_RUNNING.value,
                f"Nobody has written for {duration(expiry or 0)}, so this agent worker has ended. "
                "What was pushed to its branch stays.",
            )

    def _may_hand_over(self) -> bool:
        enough = self._inbox.has_had_enough or workflow.info().is_continue_as_new_suggested()
        return enough and not self._inbox.has_work and workflow.all_handlers_finished()

    def _next_run(self) -> AgentWorkerRun:
        # What is in the workspace already need not go through every history.
        context = {name: value for name, value in self._command.context.items() if name != "task_markdown"}
        memory = AgentWorkerMemory(
            turns=self._turns,
            session_id=self._session_id,
            agent=self._agent,
            base_commit=self._branch.base_commit,
            host_queue=self._host_queue,
            pushed=self._branch.pushed,
            resting=self._resting,
            cost_usd=self._record.cost_usd,
            unmetered=self._record.unmetered,
        )
        return self._command.model_copy(update={"context": context, "memory": self._inbox.remembered(memory)})

    async def _end(self) -> None:
        self._over = True
        if self._state is not AgentWorkerState.FAILED:
            self._state = AgentWorkerState.DELETED
        self._inbox.answer_the_rest(*self._why)
        await self._remove_workspace()
        failed = self._state is AgentWorkerState.FAILED
        self._tell("failed" if failed else "stopped", self._why[1] if failed or not self._deleted else None)
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _work_off(self) -> None:
        while self._inbox.files:
            await self._take_file(self._inbox.files.pop(0))
        while self._inbox.messages and not self._deleted:
            failures.stop_if_cancelled()
            await self._take_turn(self._inbox.messages.pop(0))

    async def _take_file(self, command: SendFileCommand) -> None:
        try:
            await self._steps.write(command.path, command.content)
        except ActivityError as error:
            if failures.is_cancellation(error):
                raise
            _, message = failures.code_and_message(error)
            answer = SendFileResponse(request_id=command.request_id, success=False, error=message)
        else:
            answer = SendFileResponse(request_id=command.request_id, success=True)
        self._inbox.file_answers[command.request_id] = answer

    async def _take_turn(self, command: SendMessageCommand) -> None:
        self._begin(command)
        self._turn_task = asyncio.create_task(self._whole_turn(command))
        attending = asyncio.create_task(self._attend())
        try:
            outcome = await self._turn_task
        except (ActivityError, ApplicationError, asyncio.CancelledError) as error:
            answer = await self._answer_of_failed(command, error)
            if answer is None:
                return  # whoever waits for it is told at the end
        else:
            answer = self._answer_of(command, outcome)
        finally:
            attending.cancel()
            self._turn_task, self._current, self._agent_runs = None, None, False
            self._inbox.answer_steers("The turn had ended before the agent could be told. Send it as a message.")
        self._inbox.answers[command.request_id] = answer

    def _begin(self, command: SendMessageCommand) -> None:
        self._turns += 1
        if command.agent not in {None, self._agent} or command.fresh_session:
            # Another agent goes on in the same workspace. A session belongs to the agent that has begun it.
            self._agent, self._session_id = command.agent or self._agent, None
        self._controls, self._stop_asked, self._stoppable, self._given_up = 0, False, True, False
        self._state, self._current = AgentWorkerState.RUNNING, command.request_id
        workflow.set_current_details(f"Agent worker `{self._worker_id}`: turn {self._turns}")
        self._tell("started", f"Turn {self._turns}")

    async def _whole_turn(self, command: SendMessageCommand) -> TurnOutcome:
        told = words.with_news(command.message, await self._branch.take_up(), self._steps.branch)
        if self._stop_asked:
            raise asyncio.CancelledError
        request = self._steps.turn(command, self._turns, self._agent, told, self._session_id)
        self._agent_runs = True
        try:
            outcome = await self._steps.run_turn(request, self._host_queue)
        except ActivityError:
            self._given_up = True
            raise
        finally:
            self._agent_runs = self._stoppable = False
        self._session_id = outcome.session_id or self._session_id
        self._record.spend(outcome)
        return await self._branch.push_after(outcome)

    async def _attend(self) -> None:
        """While a turn runs: give it what it is told, and stop it when somebody wants that."""
        while not self._stop_asked:
            await workflow.wait_condition(lambda: self._agent_runs and (self._stop_asked or bool(self._inbox.steers)))
            if not self._stop_asked:
                await self._give(self._inbox.steers[0])
        await workflow.wait_condition(lambda: self._agent_runs)
        await self._stop_running()

    async def _give(self, command: SteerWorkerCommand) -> None:
        try:
            taken = await self._control("steer", command.message)
            error = None if taken.taken else words.NOT_STEERED
        except ActivityError as failed:
            if is_cancelled_exception(failed):
                raise asyncio.CancelledError from failed
            error = failures.code_and_message(failed)[1]
        self._inbox.steers.pop(0)
        self._inbox.steer_answers[command.request_id] = SteerWorkerResponse(
            request_id=command.request_id, success=error is None, turn=None if error else self._turns, error=error
        )

    async def _stop_running(self) -> None:
        """First the agent is asked to end, so that it says what it has done; then it is stopped."""
        try:
            asked = await self._control("cancel")
            if asked.taken:
                grace = timedelta(seconds=self._command.stop_grace_s)
                await workflow.wait_condition(lambda: not self._agent_runs, timeout=grace)
        except TimeoutError:
            workflow.logger.warning("the agent did not end when it was asked to")
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error
            workflow.logger.warning("the agent could not be asked to end", extra={"why": str(error.cause)})
        if self._agent_runs and self._turn_task is not None:
            self._turn_task.cancel()

    def _answer_of(self, command: SendMessageCommand, outcome: TurnOutcome) -> SendMessageResponse:
        asks, failed = outcome.status == "question", outcome.status == "failed"
        self._resting = AgentWorkerState.WAITING if asks else AgentWorkerState.IDLE
        kind = "stopped" if self._stop_asked else "failed" if failed else "completed"
        self._tell(kind, outcome.question if asks else outcome.summary, outcome.transcript)
        return SendMessageResponse(
            request_id=command.request_id,
            success=not failed,
            response=outcome.summary,
            outcome=outcome,
            stopped=self._was_stopped(),
        )

    async def _answer_of_failed(self, command: SendMessageCommand, error: BaseException) -> SendMessageResponse | None:
        """None for a turn that was stopped because the agent worker is deleted. Raises if all of it is cancelled."""
        if failures.cancelled_unheard(error) or self._deleted:
            await self._stop_turn(command)
        if failures.is_cancellation(error) and not self._was_stopped():
            if self._deleted and workflow.cancellation_reason() is None:
                return None
            raise error
        left = TurnLeft()
        if self._was_stopped():
            left = await self._stop_turn(command)
        elif self._given_up and patches.given_up_is_stopped():
            await self._stop_given_up(command)
        self._session_id = left.session_id or self._session_id
        code, message = failures.code_and_message(error)
        if self._was_stopped():
            code, message = ErrorCode.STOPPED_BY_PERSON.value, words.STOPPED
            await self._branch.push_what_is_there()
        self._resting = AgentWorkerState.LOST if code == ErrorCode.AGENT_LOST else AgentWorkerState.IDLE
        self._tell("stopped" if self._was_stopped() else "failed", message, left.transcript)
        return SendMessageResponse(
            request_id=command.request_id, success=False, error=message, error_code=code, stopped=self._was_stopped()
        )

    async def _stop_given_up(self, command: SendMessageCommand) -> None:
        """Nobody follows the turn any more: its agent must not go on spending. That this fails changes no answer."""
        try:
            await self._stop_turn(command)
        except ActivityError as error:
            if failures.is_cancellation(error):
                raise
            workflow.logger.error("a turn that was given up could not be stopped", extra={"why": str(error.cause)})

    def _was_stopped(self) -> bool:
        return self._stop_asked and not self._deleted and workflow.cancellation_reason() is None

    def _tell(self, kind: str | None = None, note: str | None = None, transcript: ArtifactRef | None = None) -> None:
        event = (
            WorkerLifecycleEvent.model_validate(
                {"worker_id": self._worker_id, "type": kind, "detail": note and note[:500], "timestamp": workflow.now()}
            )
            if kind
            else None
        )
        self._record.tell(
            self._state,
            self._turns,
            event=event,
            request=self._current,
            session_id=self._session_id,
            commit=self._branch.pushed,
            note=note,
            transcript=transcript,
            idle_expiry_s=None if self._current or self._over else self._command.idle_expiry_s,
        )

    async def _control(self, kind: ControlKind, text: str = "") -> ControlTaken:
        self._controls += 1
        control = TurnControl(
            worker_id=self._worker_id,
            turn=self._turns,
            agent=self._agent,
            number=self._controls,
            kind=kind,
            text=text,
        )
        return await self._steps.control(control, self._host_queue)

    async def _stop_turn(self, command: SendMessageCommand) -> TurnLeft:
        request = self._steps.turn(command, self._turns, self._agent, command.message, self._session_id)
        return await self._steps.stop_turn(request, self._host_queue)

    async def _remove_workspace(self) -> None:
        """A workspace that cannot be removed does not undo the work done in it."""
        try:
            await self._steps.remove_workspace()
        except ActivityError as error:
            if not failures.is_cancellation(error):
                workflow.logger.error("a workspace was left behind", extra={"why": str(error.cause)})
