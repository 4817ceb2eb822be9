"""A turn of an agent that builds nothing: it reads what lies in an empty folder, and answers with a document."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

from activities.adapters.planning.kept_answers import Answer, KeptAnswers, name_of
from activities.model_turns import AtLimit, end_token
from activities.ports import AgentRuntime, Follow, Platform, Workspaces
from contracts.agent_workers import TurnOutcome
from contracts.errors import OrchestratorError, bounded
from contracts.models import ModelRole, ModelTurn, OpenModelTurn
from contracts.planning import Judge
from contracts.states import AgentProfile
from contracts.steps import TurnRequest, WorkspaceFile, WorkspaceRequest

MAX_TURNS = 2
"""Of one attempt: the first, and one to repair what could not be read."""
_TURNS_OF_AN_ATTEMPT = 1_000
"""Numbers that one attempt may use; a task has fewer reviews."""

ANSWER = (
    "Write your answer as JSON to the file that the environment variable ORCHESTRATOR_OUTCOME names: "
    '{"status": "done", "summary": "a sentence", "document": …}. Write no other file, run no server, and ask nothing.'
)


@dataclass(frozen=True)
class JudgingTurns:
    """Turns whose agent workers are named after the task and what they do: a repeated call adopts the same turn, or
    its answer once it has one."""

    runtime: AgentRuntime
    workspaces: Workspaces
    platform: Platform
    kept: KeptAnswers

    async def document(
        self, judge: Judge, role: ModelRole, turn: int, prompt: str, files: Mapping[str, str], follow: Follow
    ) -> str:
        """The document that the agent has written, as JSON; empty if it has written none by itself.

        Raises AtLimit if a limit of its model has stopped it.
        """
        return (await self.ask(judge, role, turn, prompt, files, follow)).document

    async def ask(
        self, judge: Judge, role: ModelRole, turn: int, prompt: str, files: Mapping[str, str], follow: Follow
    ) -> Answer:
        """The agent's answer to `prompt` beside `files`; the same for a repeated call, which takes no turn.

        Raises AtLimit if a limit of its model has stopped it; that is not kept.
        """
        name = name_of(judge, role, turn, prompt, files)
        if (known := await asyncio.to_thread(self.kept.get, name)) is not None:
            return known
        model = await self.platform.open_model_turn(_opening(judge, role, turn))
        if model.refused is None:
            await self._lay_out(judge.worker_id(role), files)
        hosts = await self.platform.egress_hosts(judge.project_id)
        asked = _request(judge, role, turn, prompt).model_copy(update={"egress_hosts": hosts})
        outcome = await self._run(asked, follow, model)
        spending = await self.platform.end_model_turn(asked.worker_id, asked.turn)
        answer, limit = _answer(outcome, spending.last_status), spending.limit or outcome.limit
        if not answer.document and limit is not None and not limit.warning:
            raise AtLimit(limit)
        await asyncio.to_thread(self.kept.put, name, answer)
        return answer

    async def _run(self, request: TurnRequest, follow: Follow, model: ModelTurn) -> TurnOutcome:
        try:
            return await self.runtime.run_turn(request, follow, model)
        except OrchestratorError as error:
            if not error.retryable:
                await end_token(self.platform, request.worker_id, request.turn)
            raise

    async def _lay_out(self, worker_id: str, files: Mapping[str, str]) -> None:
        await self.workspaces.prepare(WorkspaceRequest(worker_id=worker_id))
        for path, content in files.items():
            await self.workspaces.write_file(WorkspaceFile(worker_id=worker_id, path=path, content=content))

    async def stop(self, judge: Judge, role: ModelRole, turns: int) -> None:
        """Stop whichever of its turns runs, and remove the folder; nothing is left when this returns. Repeatable."""
        for turn in range(1, turns + 1):
            request = _request(judge, role, turn, "stop")
            await self.runtime.stop_turn(request)
            await end_token(self.platform, request.worker_id, request.turn)
        await self.close(judge, role)

    async def close(self, judge: Judge, role: ModelRole) -> None:
        """Remove the folder; repeatable."""
        await self.workspaces.remove(judge.worker_id(role))


def _number(judge: Judge, turn: int) -> int:
    """Of a turn among all of its agent worker: what a limit has stopped is begun anew with turns of its own."""
    return judge.attempt * _TURNS_OF_AN_ATTEMPT + turn


def _opening(judge: Judge, role: ModelRole, turn: int) -> OpenModelTurn:
    return OpenModelTurn(
        worker_id=judge.worker_id(role),
        turn=_number(judge, turn),
        task_id=judge.task_id,
        project_id=judge.project_id,
        user_id=judge.user_id,
        agent=judge.agent,
        role=role,
        model=judge.model,
    )


def _request(judge: Judge, role: ModelRole, turn: int, prompt: str) -> TurnRequest:
    worker_id, number = judge.worker_id(role), _number(judge, turn)
    return TurnRequest(
        worker_id=worker_id,
        turn=number,
        request_id=f"{worker_id}/turn/{number}",
        task_id=judge.task_id,
        project_id=judge.project_id,
        agent=judge.agent,
        message=prompt,
        timeout_s=judge.timeout_s,
        user_id=judge.user_id,
        model=judge.model,
        profile=AgentProfile.PRODUCT_OWNER,
    )


def _answer(outcome: TurnOutcome, last_status: int | None) -> Answer:
    """Of a turn whose last request was refused nothing is believed."""
    if last_status is not None and last_status >= 400:
        return Answer(problem=f"the model has refused the last request ({last_status})")
    if outcome.status != "done":
        said = " ".join(outcome.summary.split()) or "no reason given"
        return Answer(problem=bounded(f"the agent could not finish: {said}", 500))
    return Answer(document=outcome.document, problem="" if outcome.document else "the agent has written no answer")


def listed(document: str, name: str) -> list[object]:
    """The list in a document, by itself or as its member `name`; empty for anything else."""
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        return []
    found = found.get(name) if isinstance(found, dict) else found
    return found if isinstance(found, list) else []
