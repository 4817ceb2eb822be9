"""What people see of an agent worker: its record at the API, and the lines of its life.

Writing never delays the turns: projections leave in order from one background task, and the end waits for the last.
An agent worker that is not shown has no record, as those of the first build.
"""

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.projection import WorkerRecordActivities
    from contracts.agent_workers import AgentWorkerMemory, AgentWorkerRun, TurnOutcome, WorkerLifecycleEvent
    from contracts.artifacts import ArtifactRef
    from contracts.errors import bounded
    from contracts.states import AgentWorkerState
    from contracts.worker_steps import AgentWorkerProjection
    from workflows import options
    from workflows.ledger import Sequence

_MAX_NOTE = 2_000


class WorkerRecord:
    """The visible record of one agent worker."""

    def __init__(self, worker_id: str, run: AgentWorkerRun, memory: AgentWorkerMemory) -> None:
        context = run.context
        self._is_shown = run.is_shown and run.user_id is not None
        self._base = {
            "worker_id": worker_id,
            "user_id": run.user_id,
            "project_id": context.get("project_id"),
            "task_id": context.get("task_id"),
            "name": run.config.name,
            "agent": run.config.agent,
            "repository": context.get("repository") or None,
            "branch": context.get("branch") or None,
            "uses_login": run.login_volume is not None,
        }
        self._sequence = Sequence()
        self._outbox: asyncio.Queue[AgentWorkerProjection] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        self.cost_usd, self.unmetered = memory.cost_usd, memory.unmetered

    def spend(self, outcome: TurnOutcome) -> None:
        """Add what a turn has cost, as the proxy has seen it; else what the agent says, which nobody has measured."""
        cost = outcome.spending.cost_usd if outcome.spending else outcome.cost_usd
        if cost is None:
            return
        self.cost_usd = (self.cost_usd or 0.0) + cost
        self.unmetered = self.unmetered or outcome.spending is None

    def tell(
        self,
        state: AgentWorkerState,
        turns: int,
        *,
        event: WorkerLifecycleEvent | None = None,
        request: str | None = None,
        session_id: str | None = None,
        commit: str | None = None,
        note: str | None = None,
        transcript: ArtifactRef | None = None,
        idle_expiry_s: int | None = None,
    ) -> None:
        """Send the agent worker as it is now."""
        if not self._is_shown:
            return
        projection = AgentWorkerProjection(
            **self._base,
            seq=self._sequence.next(),
            run_id=workflow.info().run_id,
            state=state,
            turns=turns,
            event=event,
            current_request=request,
            session_id=session_id,
            commit=commit,
            note=bounded(note, _MAX_NOTE) if note else None,
            cost_usd=self.cost_usd,
            unmetered=self.unmetered,
            transcript=transcript,
            expires_at=workflow.now() + timedelta(seconds=idle_expiry_s) if idle_expiry_s else None,
        )
        self._outbox.put_nowait(projection)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._drain())

    async def flush(self) -> None:
        """Wait until the API has everything that was said so far; a cancel does not cut it short."""
        while self._pump is not None and not self._pump.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(self._pump)

    async def _drain(self) -> None:
        while not self._outbox.empty():
            projection = self._outbox.get_nowait()
            try:
                await workflow.execute_activity_method(
                    WorkerRecordActivities.record,
                    projection,
                    **options.named(options.PROJECTION, f"Record: {projection.state.value}"),
                )
            except ActivityError as error:
                # An unavailable API is retried without a limit; this is a record that it will never take.
                workflow.logger.error(
                    "a record of an agent worker was refused",
                    extra={"seq": projection.seq, "why": str(error.cause)},
                )
