"""`orchestrator demo`: one sentence to one URL that answers, with every step on the screen."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from enum import StrEnum
from typing import Annotated

import typer

from cli.client.home import settings_for
from cli.client.session import connected
from cli.client.watching import appeared, follow
from cli.demo.chat import run_chat
from cli.demo.service_check import visit
from cli.host.images import engine_answers
from cli.host.up import bring_up
from cli.terminal import inputs
from cli.terminal.exits import ExitCode
from cli.terminal.options import AsJson
from cli.terminal.output import Output
from contracts.base import new_id
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import DeliveryStart, ProjectCreate, ProjectDTO, TaskDTO
from contracts.states import AgentKind, TaskState
from contracts.wording import counted
from runtime import process_mode
from runtime.api_client import ApiClient
from runtime.settings import Settings

DEFAULT_SENTENCE = "Make a notes service: title, text, done:bool"
_BASE_NAME = "demo"
_MANY = 1000


class ChatLanguage(StrEnum):
    EN = "en"
    RU = "ru"


def demo(
    sentence: Annotated[str, typer.Argument(metavar="SENTENCE", help="What to build.")] = "",
    chat: Annotated[
        bool, typer.Option("--chat", help="Talk to the Telegram bot here in the terminal, without Telegram.")
    ] = False,
    language: Annotated[ChatLanguage, typer.Option(help="With --chat: the language you speak.")] = ChatLanguage.EN,
    as_json: AsJson = False,
) -> int:
    settings, out = settings_for("demo"), Output(as_json=as_json)
    wish = inputs.text(sentence, "The sentence")
    return asyncio.run(_run(settings, wish, out, language.value if chat else None))


async def _run(settings: Settings, sentence: str, out: Output, language: str | None) -> ExitCode:
    """`language` of the chat; None without one."""
    await _refuse_without_containers(settings)
    return await (run_chat(settings, sentence, language, out) if language else _run_demo(settings, sentence, out))


async def _run_demo(settings: Settings, sentence: str, out: Output) -> ExitCode:
    """Bring the platform up when needed, deliver the sentence as a new project, and ask the URL.

    Each run makes a project of its own (demo, demo-2, …), so that a second run works as well.
    """
    out.say("The platform", style="bold")
    await bring_up(settings, out, detach=True)
    wish = sentence.strip() or DEFAULT_SENTENCE
    return await connected(lambda api: _deliver(settings, api, wish, out), settings)


async def _deliver(settings: Settings, api: ApiClient, sentence: str, out: Output) -> ExitCode:
    out.say()
    out.say(f"Description: {sentence}", style="bold")
    agent = await _agent(api, settings)
    _say_who_works(agent, settings, out)
    project = await _new_project(api, sentence)
    out.document({"project": project.model_dump(mode="json")})
    out.say(f"Project {project.name} ({project.id})")
    title = sentence[:200]
    started = await api.start_delivery(
        DeliveryStart(request_id=new_id(), project_id=project.id, wish=sentence, title=title, agent=agent)
    )
    out.document({"started": started.model_dump(mode="json")})
    await appeared(api, started)
    out.say(f"In the Web UI: {started.web_url}")
    out.say()
    code = await follow(api, started.task_id, out, until_question=True)
    task = await api.task(started.task_id)
    if not task.state.is_final:
        out.advise(f"The work waits for your answer. Once you have answered: orchestrator task watch {task.id}")
        return ExitCode.FAILED
    if task.state is not TaskState.COMPLETED:
        out.advise(f"The demo ended without a URL. Next: orchestrator task logs {task.id}; orchestrator doctor")
        return code or ExitCode.FAILED
    await _say_cost(api, project, out)
    return await _ask_service(settings, project, task, out)


async def _say_cost(api: ApiClient, project: ProjectDTO, out: Output) -> None:
    """What the models of this project have cost; nothing where there was none."""
    total = (await api.costs(project_id=project.id)).total
    out.document({"cost": total.model_dump(mode="json")})
    if total.requests:
        out.say(f"Cost     ${total.cost_usd:.4f}, {counted(total.requests, 'request')}")
        if total.unknown_requests:
            out.say(f"         of {total.unknown_requests} nobody knows the price: they count at the configured rate")


async def _refuse_without_containers(settings: Settings) -> None:
    """With a key an agent that follows a model would work. Before anything is started it is said that it cannot.

    Raises CONTAINERS_NEEDED.
    """
    agent = settings.agent_for_new_work
    if agent is not AgentKind.SCRIPTED and (settings.runtime == "process" or not await engine_answers()):
        raise process_mode.model_refused(agent)


async def _agent(api: ApiClient, settings: Settings) -> AgentKind:
    """The agent of new work. With a key for models that is a real one, unless somebody has chosen the script.

    Raises CONTAINERS_NEEDED where a real one would work as a process of this machine.
    """
    [known] = [one for one in await api.settings() if one.name == "agent"]
    chosen = AgentKind(str(known.value))
    # What was chosen in this command counts most; a key in it more than a default of before.
    if "agent" in settings.model_fields_set or (settings.has_model_key and known.source == "default"):
        chosen = settings.agent_for_new_work
    process_mode.refuse_model(settings, chosen)
    return chosen


def _say_who_works(agent: AgentKind, settings: Settings, out: Output) -> None:
    out.document({"agent": agent.value})
    if agent is not AgentKind.SCRIPTED:
        out.advise(f"The agent is {agent.value}, which follows a model. What it costs: `orchestrator cost`.")
        return
    if settings.has_model_key:
        out.advise(
            "You gave a key for models, but the script was chosen: unset ORCHESTRATOR_AGENT, or `orchestrator settings "
            "unset agent`."
        )
    out.say(
        "The agent is a script, not a model. It understands simple sentences and asks when it does not. "
        "Everything else is real."
    )


async def _new_project(api: ApiClient, sentence: str) -> ProjectDTO:
    """The first free name of demo, demo-2, …; two demos at the same time get two names."""
    taken = {project.name for project in await api.projects(include_archived=True)}
    for number in range(1, _MANY):
        name = _BASE_NAME if number == 1 else f"{_BASE_NAME}-{number}"
        if name in taken:
            continue
        try:
            return await api.create_project(
                ProjectCreate(id=new_id(), name=name, title=sentence[:200], description=sentence)
            )
        except OrchestratorError as error:
            if error.code is not ErrorCode.ALREADY_EXISTS:
                raise
    raise OrchestratorError(
        ErrorCode.CONFLICT,
        f"There are {_MANY} demo projects already. Start your own: `orchestrator project create NAME`.",
    )


def _shell_setup(settings: Settings) -> list[str]:
    """What a shell needs before the commands below work in it."""
    lines = []
    if shutil.which("orchestrator") is None:
        lines.append(f"export PATH={os.path.dirname(sys.executable)}:$PATH")
    if "ORCHESTRATOR_HOME" in os.environ:
        lines.append(f"export ORCHESTRATOR_HOME={settings.home}")
    return lines


async def _ask_service(settings: Settings, project: ProjectDTO, task: TaskDTO, out: Output) -> ExitCode:
    """The proof: what the deployed service answers now."""
    url = str(task.result.get("deployed_url") or "")
    if not url:
        out.advise(f"The delivery has completed without a URL. Next: orchestrator task show {task.id}")
        return ExitCode.FAILED
    out.say()
    out.say(f"The service answers at {url}", style="bold green")
    visits = await visit(url)
    out.document({"url": url, "answers": [answer.as_document() for answer in visits]})
    for answer in visits:
        out.say(f"  {answer.method} {answer.path} -> {answer.status}  {answer.excerpt}")
    out.say()
    out.advise("Next:")
    for line in _shell_setup(settings):
        out.say(f"  {line}")
    out.advise(f"  orchestrator project show {project.name}")
    out.advise(f"  orchestrator task show {task.id}")
    out.advise(f'  orchestrator delivery start --project {project.name} --watch "…"   # change it')
    out.advise(f"  orchestrator deploy rollback {project.name}   # once there are two releases")
    out.advise("  orchestrator down   # services keep running; --services stops them")
    return ExitCode.OK if visits and all(answer.good for answer in visits) else ExitCode.FAILED
