"""`orchestrator status`: what runs, what works, what waits."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field

from cli.client.home import admin_key, settings_for
from cli.client.projects import project_names
from cli.host.backup_facts import backup_facts
from cli.host.health import trouble_of
from cli.host.models.facts import ModelFacts, model_facts
from cli.host.parts import BOT, MODEL_PROXY, START_ORDER, SUPERVISOR, TEMPORAL, Parts
from cli.host.runtime_facts import runtime_facts
from cli.terminal.exits import ExitCode
from cli.terminal.options import AsJson
from cli.terminal.output import Output
from cli.terminal.tables import show_alerts, show_questions, show_queues, show_tasks
from contracts.base import utc_now
from contracts.errors import OrchestratorError
from contracts.nouns import QueueList, TaskDTO
from contracts.questions import QuestionDTO
from runtime.api_client import ApiClient
from runtime.disks import Disk, disks
from runtime.settings import Settings

_OPEN = ("queued", "running", "waiting")
_LOOKS = 8
_NEXT_LOOK_S = 0.5
"""The API looks every three seconds."""


def status(as_json: AsJson = False) -> int:
    return asyncio.run(_show(Parts(settings_for("status")), Output(as_json=as_json)))


async def _show(parts: Parts, out: Output) -> ExitCode:
    """Show everything at a glance; UNREACHABLE when a part is missing or has a problem."""
    names = [
        *START_ORDER,
        *([MODEL_PROXY] if _wanted_or_running(parts, MODEL_PROXY) else []),
        *([BOT] if _wanted_or_running(parts, BOT) else []),
    ]
    troubles = dict(zip(names, await asyncio.gather(*(_trouble(parts, name) for name in names)), strict=True))
    answers = await _answers(parts)
    work = await _work(parts.settings) if answers else _Work()
    models = await _models(parts) if answers else None
    # Here and not from the API, which a full disk may have stopped.
    found = await asyncio.to_thread(disks, parts.settings)
    well = (
        not any(troubles.values())
        and not work.queues.alerts
        and all(item.served for item in work.queues.items)
        and not any(disk.state == "full" for disk in found)
    )
    out.document(
        {
            "well": well,
            "parts": {
                name: {"ok": not trouble, "trouble": trouble, "pid": _pid(parts, name)}
                for name, trouble in troubles.items()
            },
            **parts.urls,
            "warnings": [fact for label, fact in runtime_facts(parts) if not label],
            "disks": [{**asdict(disk), "path": str(disk.path)} for disk in found],
            "models": models.document() if models else None,
            "work_known": work.known,
            "tasks": [task.model_dump(mode="json") for task in work.tasks],
            "questions": [question.model_dump(mode="json") for question in work.questions],
            "queues": [queue.model_dump(mode="json") for queue in work.queues.items],
            "alerts": [alert.model_dump(mode="json") for alert in work.queues.alerts],
        }
    )
    rows = [(name, trouble if trouble else "ok", _pid(parts, name)) for name, trouble in troubles.items()]
    out.table(("PART", "HEALTH", "PID"), rows, empty="")
    _tell(parts, out, work, found, models, well=well)
    return ExitCode.OK if well else ExitCode.UNREACHABLE


async def summary_line(parts: Parts) -> str:
    """The parts and counts of work, for a live line."""
    names = parts.names
    troubles = await asyncio.gather(*(_trouble(parts, name) for name in names))
    text = "  ".join(f"{name} {trouble if trouble else 'ok'}" for name, trouble in zip(names, troubles, strict=True))
    try:
        work = await _work(parts.settings)
    except OrchestratorError:
        return text
    alerts = "".join(f"  ·  ALERT {alert.kind} {alert.subject}" for alert in work.queues.alerts)
    return f"{text}  ·  tasks {len(work.tasks)}  ·  open questions {len(work.questions)}{alerts}"


async def _trouble(parts: Parts, name: str) -> str | None:
    if name in parts.names and parts.book.record(name) is None:
        return "not running"
    return await trouble_of(parts, name)


def _wanted_or_running(parts: Parts, name: str) -> bool:
    """Wanted by these settings, or running since an `up` that had others; Compose always runs the model proxy."""
    if parts.is_run_elsewhere and name == MODEL_PROXY:
        return True
    return name in parts.names or (name == BOT and parts.settings.has_bot) or parts.book.record(name) is not None


@dataclass(frozen=True)
class _Work:
    """Current work; empty if the API does not answer, and then not `known`."""

    tasks: list[TaskDTO] = field(default_factory=list)
    questions: list[QuestionDTO] = field(default_factory=list)
    queues: QueueList = field(default_factory=lambda: QueueList(items=[]))
    names: dict[str, str] = field(default_factory=dict)
    known: bool = False


async def _answers(parts: Parts) -> bool:
    """Whether the API can report work, which it can without Temporal."""
    try:
        async with ApiClient(parts.settings.api_url, "", attempts=1, timeout_s=5) as api:
            return (await api.health()).database
    except OrchestratorError:
        return False


async def _work(settings: Settings) -> _Work:
    async with ApiClient(settings.api_url, admin_key(settings), attempts=1, timeout_s=5) as api:
        by_state = await asyncio.gather(*(api.tasks(state=state) for state in _OPEN))
        tasks = [task for tasks in by_state for task in tasks]
        questions, queues = await api.questions(), await _queues_now(api)
        return _Work(tasks, questions, queues, await project_names(api) if tasks or questions else {}, known=True)


async def _models(parts: Parts) -> ModelFacts:
    async with ApiClient(parts.settings.api_url, admin_key(parts.settings), attempts=1, timeout_s=5) as api:
        return await model_facts(parts, api)


async def _queues_now(api: ApiClient) -> QueueList:
    """The task queues; of one without a worker again after the API's next look, since its last may be from before."""
    asked = utc_now()
    queues = await api.queues()
    for _ in range(_LOOKS):
        looked = queues.looked_at
        if all(queue.served for queue in queues.items) or (looked is not None and looked > asked):
            break
        await asyncio.sleep(_NEXT_LOOK_S)
        queues = await api.queues()
    return queues


def _pid(parts: Parts, name: str) -> int | None:
    record = parts.book.record(name)
    return record.pid if record else None


def _supervisor(parts: Parts) -> str:
    if parts.is_run_elsewhere:
        return "Compose: it restarts parts that stop"
    return "running" if parts.book.record(SUPERVISOR) else "not running: parts that stop are not restarted"


def _tell(parts: Parts, out: Output, work: _Work, found: list[Disk], models: ModelFacts | None, *, well: bool) -> None:
    out.say()
    has_web_ui = TEMPORAL in parts.names or parts.is_run_elsewhere
    out.facts(
        [
            ("API", parts.settings.api_url),
            ("Temporal Web UI", parts.settings.web_ui_url if has_web_ui else None),
            *runtime_facts(parts),
            *(models.lines(parts.settings.model_proxy_url) if models else []),
            *(
                (f"Disk with {disk.name}", f"{disk.free_mb} MB free, {disk.state}")
                for disk in found
                if disk.state != "ok"
            ),
            *backup_facts(parts.settings),
            ("Home", parts.settings.home),
            ("Supervisor", _supervisor(parts)),
        ]
    )
    out.say()
    if work.known:
        _tell_work(work, out)
    else:
        out.say("What work there is, is not known while the API does not answer. Open work goes on when it does.")
    if not well:
        out.advise(f"Next: {parts.settings.start_command}", style="bold")


def _tell_work(work: _Work, out: Output) -> None:
    show_queues(work.queues.items, out)
    show_alerts(work.queues.alerts, out)
    out.say()
    if work.tasks:
        show_tasks(work.tasks, out, work.names)
    else:
        out.say("No work in progress.")
    if work.questions:
        out.say()
        show_questions(work.questions, out, work.names)
