"""Agent workers on the screen: what one is, what it does while it works, and what is left of its turns."""

import asyncio
import contextlib
from typing import Any

from cli.client.watching import fine_line
from cli.terminal.output import Output, shortened
from cli.terminal.tables import age, moment
from contracts.artifacts import ArtifactRef
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import AgentWorkerState
from contracts.wording import counted
from contracts.worker_nouns import AgentWorkerDTO, WorkerEvent, WorkerMessage, WorkerMessageReply
from runtime.api_client import ApiClient

_WAIT_S = 20
_PAGE = 500
ENDED = {AgentWorkerState.FAILED, AgentWorkerState.DELETED, AgentWorkerState.LOST}


def show_table(workers: list[AgentWorkerDTO], out: Output, names: dict[str, str]) -> None:
    """`names`: of projects, by their ids."""
    rows = [
        (
            one.id,
            shortened(one.name, 30),
            one.agent.value,
            names.get(one.project_id or "", one.project_id),
            one.state.value,
            one.turns,
            cost(one),
            age(one.updated_at),
            shortened(one.note or "", 60),
        )
        for one in workers
    ]
    headers = ("WORKER", "NAME", "AGENT", "PROJECT", "STATE", "TURNS", "COST", "CHANGED", "NOTE")
    out.table(headers, rows, empty="No agent workers. Make one: orchestrator worker create NAME")


def show_facts(one: AgentWorkerDTO, out: Output) -> None:
    out.facts(
        [
            ("Worker", one.id),
            ("Name", one.name),
            ("Agent", one.agent.value),
            ("State", one.state.value),
            ("Turns", one.turns),
            ("Running", one.current_request),
            ("Container", one.container),
            ("Output read", None if one.offset is None else counted(one.offset, "byte")),
            ("Session", one.session_id),
            ("Cost", cost(one)),
            ("Cost of this turn", None if one.live_cost_usd is None else f"${one.live_cost_usd:.4f} so far"),
            ("Project", one.project_id),
            ("Task", one.task_id),
            ("Branch", one.branch),
            ("Commit", one.commit),
            ("Ends when idle", moment(one.expires_at) if one.expires_at else None),
            ("Last event", f"{one.last_event.type} ({age(one.last_event.timestamp)} ago)" if one.last_event else None),
            ("Note", one.note),
            ("Transcripts", len(one.transcripts) or None),
            ("Workflow", one.workflow_id),
            ("Web UI", one.web_url),
        ]
    )


def cost(one: AgentWorkerDTO) -> str | None:
    """What its turns have cost: measured, or as far as it is only the agent's own claim, said so."""
    if one.cost_usd is None:
        return None if one.turns == 0 else "unknown"
    return f"${one.cost_usd:.4f}{' (as the agent says)' if one.unmetered else ''}"


async def send(api: ApiClient, worker: AgentWorkerDTO, body: WorkerMessage, out: Output) -> WorkerMessageReply:
    """Send a message, and show what the agent does until its turn has ended."""
    reply = await api.send_worker_message(worker.id, body)
    after = worker.last_event_seq
    while reply.response is None:
        asked = asyncio.ensure_future(api.send_worker_message(worker.id, body, wait_s=_WAIT_S))
        try:
            after = await _show_until(api, worker.id, after, out, asked)
            reply = await asked
        finally:
            asked.cancel()
    await show_new(api, worker.id, after, out)
    return reply


async def _show_until(
    api: ApiClient, worker_id: str, after: int, out: Output, asked: "asyncio.Future[WorkerMessageReply]"
) -> int:
    while not asked.done():
        news = asyncio.ensure_future(api.worker_events(worker_id, after=after, wait_s=_WAIT_S))
        both: set[asyncio.Future[Any]] = {news, asked}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not news.done():
            news.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await news
            return after
        after = _show(news.result(), after, out)
    return after


async def show_new(api: ApiClient, worker_id: str, after: int, out: Output) -> int:
    """All events that are there, page by page; the `seq` of the last."""
    while events := await api.worker_events(worker_id, after=after, limit=_PAGE):
        after = _show(events, after, out)
    return after


async def follow(api: ApiClient, worker_id: str, after: int, out: Output) -> None:
    """Show what it does until it has ended."""
    while (await api.worker(worker_id)).state not in ENDED:
        after = _show(await api.worker_events(worker_id, after=after, wait_s=_WAIT_S), after, out)
    await show_new(api, worker_id, after, out)


async def turn_ended(api: ApiClient, worker_id: str) -> AgentWorkerDTO:
    """The agent worker once no turn of it runs."""
    found = await api.worker(worker_id)
    after = found.last_event_seq
    while found.state is AgentWorkerState.RUNNING:
        events = await api.worker_events(worker_id, after=after, wait_s=_WAIT_S)
        after = events[-1].seq if events else after
        found = await api.worker(worker_id)
    return found


def _show(events: list[WorkerEvent], after: int, out: Output) -> int:
    for one in events:
        out.document({"event": one.model_dump(mode="json")})
        if one.event.kind == "life":
            out.say(f"{one.event.timestamp.astimezone():%H:%M:%S}  {fine_line(one.event)}", style="bold")
        else:
            out.say(f"      {fine_line(one.event)}", style="dim")
    return events[-1].seq if events else after


async def show_transcripts(api: ApiClient, worker: AgentWorkerDTO, out: Output) -> None:
    """The text of each. A missing one is reported and does not hide the others."""
    for ref in worker.transcripts:
        out.say()
        out.say(f"--- {ref.uri.rsplit('/', 1)[-1]} ({counted(ref.size_bytes, 'byte')})", style="bold")
        try:
            await _show_text(api, worker, ref, out)
        except OrchestratorError as error:
            if error.code not in {ErrorCode.NOT_FOUND, ErrorCode.ARTIFACT_NOT_FOUND}:
                raise
            out.say(f"({error.message})")


async def _show_text(api: ApiClient, worker: AgentWorkerDTO, ref: ArtifactRef, out: Output) -> None:
    offset: int | None = 0
    while offset is not None:
        part = await api.worker_artifact(worker.id, ref.sha256, offset)
        out.document({"artifact": ref.uri, "offset": offset, "text": part.text})
        out.say(part.text)
        offset = part.next_offset
