"""What was asked of an agent worker, each request once, and the answers that a repetition gets again."""

from collections.abc import Callable
from typing import Literal

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.agent_workers import (
        AgentWorkerMemory,
        AgentWorkerRun,
        SendFileCommand,
        SendFileResponse,
        SendMessageCommand,
        SendMessageResponse,
        SteerWorkerCommand,
        SteerWorkerResponse,
    )
    from contracts.errors import ErrorCode
    from contracts.wording import counted
    from workflows import failures, rules

# What is handed from run to run must stay below the 256 KB of an input: request ids, and bytes of answers. The newest
# answer of a message fits with the longest texts: it may be on its way to somebody who asks again.
_TAKEN = 300
_BYTES_OF_RESPONSES = 120_000
_BYTES_OF_OTHER_RESPONSES = 10_000
# Ten updates may be in flight. A delete and a stop answer at once, and one place stays free for them.
_IN_FLIGHT = 9

Kind = Literal["message", "file", "steer"]
Request = SendMessageCommand | SendFileCommand | SteerWorkerCommand


class WorkerInbox:
    """State only: handlers put into it, and the main loop takes out of it."""

    def __init__(self, run: AgentWorkerRun, memory: AgentWorkerMemory) -> None:
        self._run = run
        self.messages: list[SendMessageCommand] = []
        self.files: list[SendFileCommand] = []
        self.steers: list[SteerWorkerCommand] = []
        self.answers = {answer.request_id: answer for answer in memory.responses}
        self.file_answers = {answer.request_id: answer for answer in memory.file_responses}
        self.steer_answers = {answer.request_id: answer for answer in memory.steer_responses}
        self._known: dict[str, None] = dict.fromkeys(memory.taken)
        self._kinds: dict[str, Kind] = {
            **dict.fromkeys(self.answers, "message"),
            **dict.fromkeys(self.file_answers, "file"),
            **dict.fromkeys(self.steer_answers, "steer"),
        }
        self._forgotten = self._known.keys() - self._kinds.keys()
        self._updates = 0
        self._waiting = 0

    @property
    def has_work(self) -> bool:
        return bool(self.messages or self.files)

    @property
    def has_had_enough(self) -> bool:
        """Whether this run should hand over to the next as soon as it can."""
        return self._updates >= self._run.updates_per_run

    async def message(self, command: SendMessageCommand) -> SendMessageResponse:
        """The answer, once the message's turn has ended."""
        if self._is_new(command.request_id, "message"):
            self.messages.append(command)
        await self._waited_for(lambda: command.request_id in self.answers)
        return self.answers[command.request_id]

    async def file(self, command: SendFileCommand) -> SendFileResponse:
        """The answer, once the file has been written."""
        if self._is_new(command.request_id, "file"):
            self.files.append(command)
        await self._waited_for(lambda: command.request_id in self.file_answers)
        return self.file_answers[command.request_id]

    async def steer(self, command: SteerWorkerCommand) -> SteerWorkerResponse:
        """The answer, once the running turn has the message, or has ended without it."""
        if self._is_new(command.request_id, "steer"):
            self.steers.append(command)
        await self._waited_for(lambda: command.request_id in self.steer_answers)
        return self.steer_answers[command.request_id]

    def refuse(self, request_id: str, kind: Kind) -> None:
        """Raise if this cannot be taken: its answer is forgotten, its id is that of another kind, or too many wait."""
        if request_id in self._forgotten:
            reason = "This request was answered earlier, and its answer is no longer stored. Use a new request id."
            raise failures.failure(ErrorCode.CONFLICT, reason)
        # It would wait for an answer of its own kind, which never comes.
        if self._kinds.get(request_id, kind) != kind:
            reason = "A message and a file have the same request id; give each its own."
            raise failures.failure(ErrorCode.CONFLICT, reason)
        most = _IN_FLIGHT if kind == "steer" else self._run.max_waiting
        if self._waiting >= most or self._updates >= 2 * self._run.updates_per_run:
            waiting = counted(self._waiting, "message")
            reason = f"This agent worker has {waiting} waiting already. Send this one again later."
            raise failures.failure(ErrorCode.WORKFLOW_BUSY, reason)

    def knows(self, request_id: str) -> bool:
        return request_id in self._known

    def answer_steers(self, error: str) -> None:
        """Nobody gives these to an agent any more."""
        for command in self.steers:
            self.steer_answers[command.request_id] = SteerWorkerResponse(
                request_id=command.request_id, success=False, error=error
            )
        self.steers = []

    def answer_the_rest(self, code: str, error: str) -> None:
        """Whoever still waits is told that nothing more will come, and why."""
        for request_id in sorted(self._known):
            message = SendMessageResponse(request_id=request_id, success=False, error=error, error_code=code)
            self.answers.setdefault(request_id, message)
            self.file_answers.setdefault(
                request_id, SendFileResponse(request_id=request_id, success=False, error=error)
            )
            self.steer_answers.setdefault(
                request_id, SteerWorkerResponse(request_id=request_id, success=False, error=error)
            )

    def remembered(self, memory: AgentWorkerMemory) -> AgentWorkerMemory:
        """`memory` with what the next run must know of requests."""
        return memory.model_copy(
            update={
                "taken": list(self._known)[-_TAKEN:],
                "responses": rules.newest_within(list(self.answers.values()), _BYTES_OF_RESPONSES),
                "file_responses": rules.newest_within(list(self.file_answers.values()), _BYTES_OF_OTHER_RESPONSES),
                "steer_responses": rules.newest_within(list(self.steer_answers.values()), _BYTES_OF_OTHER_RESPONSES),
            }
        )

    def _is_new(self, request_id: str, kind: Kind) -> bool:
        """Whether a request is seen for the first time; remembers it."""
        self._updates += 1
        is_new = request_id not in self._known
        self._known[request_id] = None
        self._kinds.setdefault(request_id, kind)
        return is_new

    async def _waited_for(self, answered: Callable[[], bool]) -> None:
        self._waiting += 1
        try:
            await workflow.wait_condition(answered)
        finally:
            self._waiting -= 1
