"""The work branch of one agent worker: what is pushed, and what other people have pushed to it."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from contracts.agent_workers import AgentWorkerMemory, AgentWorkerRun, TurnOutcome
    from contracts.errors import ErrorCode
    from contracts.steps import PushedBranch
    from contracts.worker_steps import TakenUp
    from workflows import failures
    from workflows.agent_worker_parts import words
    from workflows.agent_worker_parts.steps import WorkerSteps

_PUSHES = 3
"""A person who pushes again and again while the platform does is told so after this many."""


class WorkBranch:
    """Without a repository there is none, and nothing is done. `pushed`: where the platform has last seen or put it."""

    def __init__(self, steps: WorkerSteps, run: AgentWorkerRun, memory: AgentWorkerMemory) -> None:
        self._steps: WorkerSteps = steps
        self._takes_up = run.takes_up
        self.base_commit = memory.base_commit
        self.pushed = memory.pushed

    def begin(self, base_commit: str | None) -> None:
        self.base_commit = base_commit

    async def take_up(self) -> TakenUp | None:
        """What people have pushed since the last time; None where that is not looked for."""
        if self.base_commit is None or not self._takes_up:
            return None
        taken = await self._steps.take_up(self.pushed)
        if taken.state != "conflict":
            self.pushed = taken.branch_head or self.pushed
        return taken

    async def push_after(self, outcome: TurnOutcome) -> TurnOutcome:
        """The outcome with what the remote has after the push."""
        if self.base_commit is None:
            return outcome
        pushed = await self._push(self.base_commit)
        return outcome.model_copy(
            update={
                "commit": pushed.commit,
                "base_commit": pushed.base_commit,
                "files_changed": pushed.files_changed[:500],
            }
        )

    async def push_what_is_there(self) -> None:
        """After a turn that was stopped. What cannot be pushed now is pushed after the next turn, or refused there."""
        if self.base_commit is None:
            return
        try:
            await self._push(self.base_commit)
        except ActivityError as error:
            if failures.is_cancellation(error):
                raise
            workflow.logger.warning("commits of a stopped turn were not pushed", extra={"why": str(error.cause)})

    async def _push(self, base_commit: str) -> PushedBranch:
        """Push; if people have pushed meanwhile, with theirs. Raises BRANCH_MOVED if the two do not fit."""
        for last in (False,) * (_PUSHES - 1) + (True,):
            try:
                pushed = await self._steps.push(base_commit, self.pushed if self._takes_up else None)
            except ActivityError as error:
                if last or failures.code_and_message(error)[0] != ErrorCode.BRANCH_MOVED:
                    raise
                await self._merge()
            else:
                self.pushed = pushed.commit
                return pushed
        raise AssertionError("the last push returns or raises")

    async def _merge(self) -> None:
        taken = await self.take_up()
        if taken is not None and taken.state == "conflict":
            raise failures.failure(ErrorCode.BRANCH_MOVED, words.branch_moved(taken, self._steps.branch))
