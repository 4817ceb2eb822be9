"""`orchestrator demo`: one sentence to one URL that answers, with every step on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.exits import ExitCode
from contracts.errors import ErrorCode, OrchestratorError

if TYPE_CHECKING:
    from cli.output import Output
    from cli.platform import Platform
    from contracts.nouns import ProjectDTO, TaskDTO
    from runtime.settings import Settings

DEFAULT_SENTENCE = "Make a notes service: title, text, done:bool"
_BASE_NAME = "demo"
_MANY = 1000


async def run_demo(settings: Settings, sentence: str, out: Output) -> ExitCode:
    """Bring the platform up when needed, deliver the sentence as a new project, and ask the URL.

    Each run makes a project of its own (demo, demo-2, …), so that a second run works as well.
    """
    from cli.session import open_platform
    from cli.stack import bring_up

    out.say("The platform", style="bold")
    await bring_up(settings, out, detach=True)
    async with open_platform(settings) as platform:
        return await _deliver(settings, platform, sentence.strip() or DEFAULT_SENTENCE, out)


async def _deliver(settings: Settings, platform: Platform, sentence: str, out: Output) -> ExitCode:
    from cli.watching import appeared, follow
    from contracts.base import new_id
    from contracts.nouns import DeliveryStart
    from contracts.states import TaskState

    out.say()
    out.say(f"The wish: {sentence}", style="bold")
    _say_who_works(settings, out)
    project = await _new_project(platform, sentence)
    out.document({"project": project.model_dump(mode="json")})
    out.say(f"Project {project.name} ({project.id})")
    started = await platform.start_delivery(
        DeliveryStart(request_id=new_id(), project_id=project.id, wish=sentence, title=sentence[:200])
    )
    out.document({"started": started.model_dump(mode="json")})
    await appeared(platform.api, started)
    out.say(f"Run in the Web UI: {started.web_url}")
    out.say()
    code = await follow(platform.api, started.task_id, out, until_question=True)
    task = await platform.api.task(started.task_id)
    if not task.state.is_final:
        out.say(f"It waits for your answer, as long as it takes. After that: orchestrator task watch {task.id}")
        return ExitCode.FAILED
    if task.state is not TaskState.COMPLETED:
        out.say(f"The demo did not reach a URL. Next: orchestrator task logs {task.id}; orchestrator doctor")
        return code or ExitCode.FAILED
    return await _ask_service(settings, project, task, out)


def _say_who_works(settings: Settings, out: Output) -> None:
    from contracts.states import AgentKind

    out.document({"agent": settings.agent.value})
    if settings.agent is AgentKind.SCRIPTED:
        out.say(
            "A scripted agent stands in for a model: a program that understands simple sentences, and asks when it "
            "does not. Everything else is real."
        )


async def _new_project(platform: Platform, sentence: str) -> ProjectDTO:
    """The first free name of demo, demo-2, …; of two demos at once each gets its own."""
    from contracts.base import new_id
    from contracts.nouns import ProjectCreate

    taken = {project.name for project in await platform.api.projects(include_archived=True)}
    for number in range(1, _MANY):
        name = _BASE_NAME if number == 1 else f"{_BASE_NAME}-{number}"
        if name in taken:
            continue
        try:
            return await platform.api.create_project(
                ProjectCreate(id=new_id(), name=name, title=sentence[:200], description=sentence)
            )
        except OrchestratorError as error:
            if error.code is not ErrorCode.ALREADY_EXISTS:
                raise
    raise OrchestratorError(ErrorCode.CONFLICT, f"There are {_MANY} demo projects; archive some of them.")


def _shell_setup(settings: Settings) -> list[str]:
    """What a shell needs before the commands below work in it."""
    import os
    import shutil
    import sys

    lines = []
    if shutil.which("orchestrator") is None:
        lines.append(f"export PATH={os.path.dirname(sys.executable)}:$PATH")
    if "ORCHESTRATOR_HOME" in os.environ:
        lines.append(f"export ORCHESTRATOR_HOME={settings.home}")
    return lines


async def _ask_service(settings: Settings, project: ProjectDTO, task: TaskDTO, out: Output) -> ExitCode:
    """The proof: what the deployed service answers now."""
    from cli.service_check import visit

    url = str(task.result.get("deployed_url") or "")
    if not url:
        out.say(f"The delivery is completed, but its result names no URL. Next: orchestrator task show {task.id}")
        return ExitCode.FAILED
    out.say()
    out.say(f"The service answers at {url}", style="bold green")
    visits = await visit(url)
    out.document({"url": url, "answers": [answer.as_document() for answer in visits]})
    for answer in visits:
        out.say(f"  {answer.method} {answer.path} -> {answer.status}  {answer.excerpt}")
    out.say()
    out.say("Next:")
    for line in _shell_setup(settings):
        out.say(f"  {line}")
    out.say(f"  orchestrator project show {project.name}")
    out.say(f"  orchestrator task show {task.id}")
    out.say(f'  orchestrator delivery start --project {project.name} --watch "…"   (change it)')
    out.say(f"  orchestrator deploy rollback {project.name}   (once it has two releases)")
    out.say("  orchestrator down   (services keep running; --services stops them)")
    return ExitCode.OK if visits and all(answer.good for answer in visits) else ExitCode.FAILED
