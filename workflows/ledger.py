"""What people see of a workflow: its projection, its stage, its details in the Web UI, its question.

A workflow owns one ledger per task. Writing never delays the business: projections leave in order from one background
task, and the end of a task waits for the last of them.
"""

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ActivityError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.projection import ProjectionActivities
    from contracts import ids
    from contracts.artifacts import ArtifactRef
    from contracts.base import Actor
    from contracts.criteria import Criterion
    from contracts.errors import bounded
    from contracts.names import SearchAttribute, SignalName
    from contracts.parts import TaskPart
    from contracts.progress import ProgressEvent, ProgressType, Projection, ProjectionAck
    from contracts.questions import AnswerCommand, QuestionDTO, QuestionWording
    from contracts.states import ProjectStatus, QuestionKind, QuestionState, Stage, TaskKind, TaskState
    from contracts.subjects import Subject
    from workflows import options, patches, rules, visibility

_STAGE = SearchAttributeKey.for_keyword(SearchAttribute.STAGE)


class Sequence:
    """Numbers that only grow within a workflow id, across continue-as-new and reset."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """The next number: microseconds of workflow time, or one more than the last."""
        self._last = max(self._last + 1, workflow.time_ns() // 1000)
        return self._last


class Ledger:
    """The visible record of one task of a workflow."""

    def __init__(
        self,
        *,
        kind: TaskKind,
        task_id: str,
        subject: Subject,
        user_id: int,
        title: str,
        request_id: str,
        parent_task_id: str | None = None,
        parent_workflow_id: str | None = None,
        sequence: Sequence | None = None,
    ) -> None:
        self._sequence = sequence or Sequence()
        self._request_id = request_id
        self._base = {
            "kind": kind,
            "task_id": task_id,
            "subject": subject,
            "user_id": user_id,
            "title": title[:200],
            "parent_task_id": parent_task_id,
        }
        self.task_id, self._subject, self._user_id = task_id, subject, user_id
        self._parent_workflow_id = parent_workflow_id
        self._state = TaskState.QUEUED
        self._stage = Stage.QUEUED
        self._lines: list[str] = [f"**{title or task_id}**", ""]
        self._outbox: asyncio.Queue[Projection] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        self._questions = 0
        self.question: QuestionDTO | None = None
        self._question_below: QuestionDTO | None = None
        self.asked: set[str] = set()
        self._answer: AnswerCommand | None = None
        self._waits_for: str | None = None
        self.parts: list[TaskPart] = []

    async def open(self, message: str) -> ProjectionAck:
        """The first projection creates the task's row. `closed` in the answer: it had ended in an earlier run."""
        self._state, self._stage = TaskState.RUNNING, Stage.STARTED
        self._tell(message)
        return await self._write(self._projection(self._event("started", message)))

    def queue(self, message: str) -> None:
        """Let people see what has to wait. The details in the Web UI stay those of what runs."""
        self._send(self._projection(self._event("progress", message)))

    def stage(self, stage: Stage, message: str, *, percent: int, project_status: ProjectStatus | None = None) -> None:
        """Enter a stage: a milestone, a search attribute, a line in the details."""
        if stage != self._stage:
            workflow.upsert_search_attributes([_STAGE.value_set(stage.value)])
        self._stage, self._state = stage, TaskState.RUNNING
        self._tell(message)
        event = self._event("progress", message, percent)
        self._send(self._projection(event, project_status=project_status))

    def note(self, message: str) -> None:
        """A milestone within the present stage."""
        self._tell(message)
        self._send(self._projection(self._event("progress", message)))

    async def finish(
        self,
        state: TaskState,
        message: str,
        *,
        result: dict[str, str | int | None] | None = None,
        error_code: str | None = None,
        error: str | None = None,
        project_status: ProjectStatus | None = None,
        artifacts: list[ArtifactRef] | None = None,
        criteria: list[Criterion] | None = None,
    ) -> None:
        """Write the final state, after everything that was said before it. From here on a cancel comes too late."""
        if self.question is not None:
            self._close_question(QuestionState.WITHDRAWN)
        self._state = state
        if state is TaskState.COMPLETED:
            self._stage = Stage.COMPLETED  # otherwise it says where the work ended
        workflow.upsert_search_attributes([_STAGE.value_set(state.value)])
        self._tell(message)
        event = self._event("completed" if state is TaskState.COMPLETED else "failed", message, error=error)
        if state is TaskState.COMPLETED:
            event = event.model_copy(update={"progress_pct": 100})
        projection = self._projection(event, project_status=project_status).model_copy(
            update={
                "result": result or {},
                "error_code": error_code,
                "error": bounded(error, 4_000) if error else None,
                "artifacts": artifacts or [],
                "criteria": criteria or [],
            }
        )
        self._send(projection)
        await self.flush()

    async def flush(self) -> None:
        """Wait until the API has everything that was said so far; a cancel does not cut it short."""
        while self._pump is not None and not self._pump.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(self._pump)

    # Questions -------------------------------------------------------------------------------------------

    async def ask(
        self,
        kind: QuestionKind,
        text: str,
        *,
        choices: list[str],
        reminder: timedelta,
        secret_names: list[str] | None = None,
        plan_hash: str | None = None,
        wording: QuestionWording | None = None,
    ) -> AnswerCommand:
        """Put a question to a person and wait as long as it takes. Reminders are milestones and decide nothing."""
        self._open_question(kind, text, choices, secret_names or [], plan_hash, wording)
        workflow.upsert_search_attributes([_STAGE.value_set(TaskState.WAITING.value)])
        while self._answer is None:
            try:
                await workflow.wait_condition(lambda: self._answer is not None, timeout=reminder)
            except TimeoutError:
                message = f"Still waiting for an answer: {text}"
                self._send(self._projection(self._event("progress", message, question=self.question)))
        answer, self._answer = self._answer, None
        self._state = TaskState.RUNNING
        workflow.upsert_search_attributes([_STAGE.value_set(self._stage.value)])
        return answer

    async def ask_until(
        self, kind: QuestionKind, text: str, *, choices: list[str], deadline: timedelta, wording: QuestionWording
    ) -> AnswerCommand | None:
        """Wait for a time that is told to people, who can say otherwise: their answer, or None when the time has come.

        The question expires then.
        """
        self._open_question(kind, text, choices, [], None, wording)
        workflow.upsert_search_attributes([_STAGE.value_set(TaskState.WAITING.value)])
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._answer is not None, timeout=deadline)
        answer, self._answer = self._answer, None
        if answer is None:
            self._close_question(QuestionState.EXPIRED)
        self._state = TaskState.RUNNING
        workflow.upsert_search_attributes([_STAGE.value_set(self._stage.value)])
        return answer

    async def pause(self, time: timedelta, why: str) -> None:
        """Wait for a short time, and let people see why."""
        self._state, self._waits_for = TaskState.WAITING, bounded(why, 500)
        workflow.upsert_search_attributes([_STAGE.value_set(TaskState.WAITING.value)])
        self.note(f"Waiting: {why}.")
        await workflow.sleep(time)
        self._state, self._waits_for = TaskState.RUNNING, None
        workflow.upsert_search_attributes([_STAGE.value_set(self._stage.value)])
        self.note("Trying again.")

    def accept(self, command: AnswerCommand) -> None:
        """Take a validated answer; the waiting main loop continues."""
        self._answer = command
        self._close_question(QuestionState.ANSWERED, command.actor, command.text)

    def hear_from_below(self, question: QuestionDTO) -> None:
        """While a question of the work below is open, this task waits too; the milestones are those of that work."""
        if self._state.is_final:
            return
        is_open = question.state is QuestionState.OPEN
        self._question_below = question if is_open else None
        self._state = TaskState.WAITING if is_open else TaskState.RUNNING
        stage = Stage.WAITING if is_open else self._stage
        workflow.upsert_search_attributes([_STAGE.value_set(stage.value)])
        self._send(self._projection())

    def _open_question(
        self,
        kind: QuestionKind,
        text: str,
        choices: list[str],
        secret_names: list[str],
        plan_hash: str | None,
        wording: QuestionWording | None,
    ) -> None:
        self._questions += 1
        self._state = TaskState.WAITING
        self.question = QuestionDTO(
            id=ids.question_id(self.task_id, self._questions),
            workflow_id=workflow.info().workflow_id,
            task_id=self.task_id,
            subject=self._subject,
            user_id=self._user_id,
            kind=kind,
            text=text,
            choices=choices,
            secret_names=secret_names,
            plan_hash=plan_hash,
            wording=wording,
            created_at=workflow.now(),
        )
        self.asked.add(self.question.id)
        self._tell(f"❓ Waiting for an answer to `{self.question.id}`: {text}")
        event = self._event("progress", f"Question: {text}", question=self.question)
        self._send(self._projection(event, question=self.question))

    def _close_question(self, state: QuestionState, actor: Actor | None = None, text: str = "") -> None:
        if self.question is None:
            return
        closed = self.question.model_copy(
            update={
                "state": state,
                "answer": text[:4_000] or None,
                "answered_by": actor.user_id if actor else None,
                "closed_at": workflow.now(),
            }
        )
        self.question = None
        self._state = TaskState.RUNNING
        message = f"Answered: {text}" if text else f"The question is {state.value}."
        self._tell(message)
        self._send(self._projection(self._event("progress", message, question=closed), question=closed))

    # Writing ---------------------------------------------------------------------------------------------

    def _event(
        self,
        type_: ProgressType,
        message: str,
        percent: int | None = None,
        error: str | None = None,
        question: QuestionDTO | None = None,
    ) -> ProgressEvent:
        return ProgressEvent(
            type=type_,
            request_id=self._request_id,
            task_id=self.task_id,
            timestamp=workflow.now(),
            message=bounded(message, 4_000),
            progress_pct=percent,
            current_step=self._stage.value,
            error=bounded(error, 4_000) if error else None,
            question_id=question.id if question else None,
        )

    def _projection(
        self,
        event: ProgressEvent | None = None,
        *,
        project_status: ProjectStatus | None = None,
        question: QuestionDTO | None = None,
    ) -> Projection:
        is_waiting = self._state is TaskState.WAITING
        waiting = (self.question or self._question_below) if is_waiting else None
        waits_for = self._waits_for if is_waiting else None
        return Projection(
            workflow_id=workflow.info().workflow_id,
            run_id=workflow.info().run_id,
            seq=self._sequence.next(),
            state=self._state,
            stage=self._stage,
            waiting_for=_waiting_for(waiting) if waiting else waits_for,
            question_id=waiting.id if waiting else None,
            project_status=project_status,
            milestone=event,
            question=question,
            parts=self.parts,
            **self._base,
        )

    def _tell(self, message: str) -> None:
        line = " ".join(message.split())
        self._lines.append(f"- `{workflow.now():%H:%M:%S}` {bounded(line, 400)}")
        header, recent = self._lines[:2], self._lines[2:][-30:]
        workflow.set_current_details("\n".join([*header, f"Stage: **{self._stage.value}**", "", *recent]))

    def _send(self, projection: Projection) -> None:
        self._outbox.put_nowait(projection)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        while not self._outbox.empty():
            projection = self._outbox.get_nowait()
            try:
                await self._write(projection)
                await self._tell_parent(projection.question)
            except ActivityError as error:
                # An unavailable API is retried without a limit; this is a projection that it will never take. The work
                # continues, and the operator can read why a line is missing.
                workflow.logger.error(
                    "a projection was refused", extra={"seq": projection.seq, "why": str(error.cause)}
                )
                await self._write_barely(projection)

    async def _write_barely(self, projection: Projection) -> None:
        """Without its texts, what nobody may miss: that the task has ended, and that a person is asked."""
        if not (projection.state.is_final or projection.question) or not patches.refused_is_told_again():
            return
        bare = rules.barest(projection).model_copy(update={"seq": self._sequence.next()})
        try:
            await self._write(bare)
            await self._tell_parent(bare.question)
        except ActivityError as error:
            workflow.logger.error("its barest form was refused, too", extra={"why": str(error.cause)})

    async def _tell_parent(self, question: QuestionDTO | None) -> None:
        if question is None or self._parent_workflow_id is None:
            return
        parent = workflow.get_external_workflow_handle(self._parent_workflow_id)
        try:
            await parent.signal(SignalName.QUESTION_BELOW, question)
        except FailureError as error:
            # It has ended without waiting for this one. The question is asked all the same.
            workflow.logger.warning("a parent could not be told of a question", extra={"why": str(error)})

    async def _write(self, projection: Projection) -> ProjectionAck:
        ack = await workflow.execute_activity_method(
            ProjectionActivities.apply,
            projection,
            **options.named(options.PROJECTION, f"Progress: {projection.stage.value}"),
        )
        visibility.follow_rename(ack.project_name)
        return ack


def _waiting_for(question: QuestionDTO) -> str:
    return bounded(f"user {question.user_id}, question {question.id}: {question.text}", 500)
