"""What happens to a request for acceptance, wherever its services run: a result is kept, and given again."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path

from pydantic import ValidationError

from activities.adapters.acceptance import jobs
from activities.adapters.acceptance.judging import Seen, judged, never_started
from activities.adapters.runs.states import RunStatus
from activities.adapters.verification.steps import Refused
from activities.ports import ArtifactStore, Follow, PlanReader
from contracts.acceptance import AcceptanceRequest, AcceptanceResult
from contracts.errors import ErrorCode, OrchestratorError


class AcceptanceFlow(ABC):
    """Implements `Acceptance`. A run has a name of its own, and is adopted by every repetition.

    What it has shown is kept in `<state_dir>/<name>.json`; the place is removed.
    """

    def __init__(self, plans: PlanReader, state_dir: Path, artifacts: ArtifactStore) -> None:
        self.plans = plans
        self.state_dir = state_dir
        self._artifacts = artifacts

    @abstractmethod
    async def begin(self, request: AcceptanceRequest, name: str, follow: Follow) -> None:
        """Start the services and the checks, or what of them is missing. Raises `Refused` for what cannot be built."""

    @abstractmethod
    async def observe(self, request: AcceptanceRequest, name: str, follow: Follow) -> Seen:
        """Follow the run to its end; what it has left. Raises ACCEPTANCE_LOST, after which nothing of it is left."""

    @abstractmethod
    async def end(self, request: AcceptanceRequest, name: str) -> None:
        """Stop the run; none of it runs when this returns, and its place is removed."""

    @abstractmethod
    async def remove(self, name: str) -> None:
        """Remove the run and its place."""

    async def accept(self, request: AcceptanceRequest, follow: Follow) -> AcceptanceResult:
        """See `Acceptance`. What cannot be checked at all, because nothing can be started, is in the result."""
        name = jobs.run_name(request)
        known = self.result(name)
        if known is None and request.checks:
            try:
                seen = await self._seen(request, name, follow)
            except OrchestratorError as error:
                # Another one may have finished it meanwhile.
                if error.code is ErrorCode.ACCEPTANCE_LOST and (known := self.result(name)) is not None:
                    return known
                raise
            known = await judged(request, seen, self._artifacts)
            self._keep(self._path(name), known.model_dump_json())
        # Whoever wrote it may have been killed before the run was gone.
        await self.remove(name)
        return known or await judged(request, Seen(), self._artifacts)

    async def stop(self, request: AcceptanceRequest) -> None:
        """See `Acceptance`. Repeatable."""
        await self.end(request, jobs.run_name(request))

    async def _seen(self, request: AcceptanceRequest, name: str, follow: Follow) -> Seen:
        try:
            await self.begin(request, name, follow)
            return await self.observe(request, name, follow)
        except Refused as refused:
            return never_started("packages", refused.verdict.evidence)
        except OrchestratorError as error:
            if error.code not in jobs.UNUSABLE:
                raise
            return never_started(error.code.value, error.message)

    def result(self, name: str) -> AcceptanceResult | None:
        try:
            return AcceptanceResult.model_validate_json(self._path(name).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def _path(self, name: str) -> Path:
        return self.state_dir / f"{name}.json"

    def _keep(self, file: Path, text: str) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(file)


def stopped() -> OrchestratorError:
    return OrchestratorError(ErrorCode.STOPPED_BY_PERSON, "The checks of the task were stopped.")


def lost(why: str) -> OrchestratorError:
    reason = f"The checks of the wish could not be run, and will be started again: {why}."
    return OrchestratorError.transient(ErrorCode.ACCEPTANCE_LOST, reason)


def left_by(content: bytes, status: RunStatus) -> Seen:
    """What the checks' program wrote; its log, pictures and secrets are still missing.

    Raises ACCEPTANCE_LOST when what is ours did not start.
    """
    found = json.loads(content)
    if found["start"] is not None and found["start"].get("ours"):
        raise lost(str(found["start"]["text"]))
    began, ended = status.started_at, status.finished_at
    took = round((ended - began).total_seconds() * 1_000) if began and ended else 0
    return Seen(found["checks"], found["start"], duration_ms=took)
