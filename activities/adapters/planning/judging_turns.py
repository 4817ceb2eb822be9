"""A turn of an agent that builds nothing: it reads what lies in an empty folder, and answers with a document."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from activities.model_turns import AtLimit, end_token
from activities.ports import AgentRuntime, Follow, Platform, Workspaces
from contracts.agent_workers import TurnOutcome
from contracts.errors import OrchestratorError
from contracts.models import ModelRole, ModelTurn, OpenModelTurn
from contracts.planning import Judge
from contracts.states import AgentProfile
from contracts.steps import TurnRequest, WorkspaceFile, WorkspaceRequest

MAX_TURNS = 2
"""Of one attempt: the first, and one to repair what could not be read."""

ANSWER = (
    "Write your answer as JSON to the file that the environment variable ORCHESTRATOR_OUTCOME names: "
    '{"status": "done", "summary": "a sentence", "document": …}. Write no other file, run no server, and ask nothing.'
)


@dataclass(frozen=True)
class JudgingTurns:
    """Turns whose agent workers are named after the task and what they do: a repeated call adopts the same turn."""

    runtime: AgentRuntime
    workspaces: Workspaces
    platform: Platform

    async def document(
        self, judge: Judge, role: ModelRole, turn: int, prompt: str, files: Mapping[str, str], follow: Follow
    ) -> str:
        """The document that the agent has written, as JSON; empty if it has written none by itself.

        Raises AtLimit if a limit of its model has stopped it.
        """
        worker_id, number = judge.worker_id(role), _number(judge, turn)
        await self.workspaces.prepare(WorkspaceRequest(worker_id=worker_id))
        for path, content in files.items():
            await self.workspaces.write_file(WorkspaceFile(worker_id=worker_id, path=path, content=content))
        opening = OpenModelTurn(
            worker_id=worker_id,
            turn=number,
            task_id=judge.task_id,
            project_id=judge.project_id,
            user_id=judge.user_id,
            agent=judge.agent,
            role=role,
            model=judge.model,
        )
        model = await self.platform.open_model_turn(opening)
        hosts = await self.platform.egress_hosts(judge.project_id)
        asked = _request(judge, role, number, prompt).model_copy(update={"egress_hosts": hosts})
        outcome = await self._run(asked, follow, model)
        spending = await self.platform.end_model_turn(worker_id, number)
        document, limit = _document(outcome, spending.last_status), spending.limit or outcome.limit
        if not document and limit is not None and not limit.warning:
            raise AtLimit(limit)
        return document

    async def _run(self, request: TurnRequest, follow: Follow, model: ModelTurn) -> TurnOutcome:
        try:
            return await self.runtime.run_turn(request, follow, model)
        except OrchestratorError as error:
            if not error.retryable:
                await end_token(self.platform, request.worker_id, request.turn)
            raise

    async def stop(self, judge: Judge, role: ModelRole, turns: int) -> None:
        """Stop whichever of its turns runs; none does when this returns."""
        for turn in range(1, turns + 1):
            request = _request(judge, role, _number(judge, turn), "stop")
            await self.runtime.stop_turn(request)
            await end_token(self.platform, request.worker_id, request.turn)

    async def close(self, judge: Judge, role: ModelRole) -> None:
        """Remove the folder; repeatable."""
        await self.workspaces.remove(judge.worker_id(role))


def _number(judge: Judge, turn: int) -> int:
    """Of a turn among all of its agent worker: what a limit has stopped is begun anew with turns of its own."""
    return judge.attempt * MAX_TURNS + turn


def _request(judge: Judge, role: ModelRole, turn: int, prompt: str) -> TurnRequest:
    worker_id = judge.worker_id(role)
    return TurnRequest(
        worker_id=worker_id,
        turn=turn,
        request_id=f"{worker_id}/turn/{turn}",
        task_id=judge.task_id,
        project_id=judge.project_id,
        agent=judge.agent,
        message=prompt,
        timeout_s=judge.timeout_s,
        user_id=judge.user_id,
        profile=AgentProfile.PRODUCT_OWNER,
    )


def _document(outcome: TurnOutcome, last_status: int | None) -> str:
    refused = last_status is not None and last_status >= 400
    return "" if outcome.status != "done" or refused else outcome.document


def listed(document: str, name: str) -> list[object]:
    """The list in a document, by itself or as its member `name`; empty for anything else."""
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        return []
    found = found.get(name) if isinstance(found, dict) else found
    return found if isinstance(found, list) else []
