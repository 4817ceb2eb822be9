"""Each agent builds the wish as a project of its own, through a platform that begins and ends with this."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from cli.client.watching import appeared, follow
from cli.demo.service_check import visit
from cli.terminal.output import Output
from contracts.base import new_id
from contracts.criteria import built, not_built, not_checked
from contracts.errors import OrchestratorError
from contracts.nouns import DeliveryStart, ProjectCreate, TaskDTO
from contracts.states import AgentKind
from runtime.api_client import ApiClient
from tests.live.report import Tried
from tests.live.selection import Live, Refused
from tests.support.ports import any_free
from tests.support.services.container_service import no_engine
from tests.support.stack import Stack, running_stack

_LIMIT_S = 3 * 3600.0
Say = Callable[[str], None]


async def run(live: Live, home: Path, say: Say) -> tuple[list[Tried], list[str]]:
    """What was tried, and the vendors' addresses. Raises Refused where no agent with a model could work."""
    if (reason := no_engine()) is not None:
        raise Refused(
            f"Agents with a model work in containers: {reason}. DOCKER=install make test-live sets up Docker."
        )
    own = {
        **live.variables,
        "ORCHESTRATOR_MODEL_PROXY_PORT": str(any_free()),
        "ORCHESTRATOR_ACCEPTANCE": "binding",
        "ORCHESTRATOR_TRUST_PROCESSES": "false",
    }
    say("starting a platform")
    async with (
        running_stack(home, **own) as stack,
        ApiClient(stack.settings.api_url, stack.admin_key()) as api,
    ):
        await api.choose_setting(None, "monthly_budget_usd", live.at_most_usd)
        tried = [await _try(api, live, agent, say) for agent in live.agents]
        return tried, await _upstreams(stack)


async def _upstreams(stack: Stack) -> list[str]:
    accounts = (await stack.ok("status"))["models"]["accounts"]
    return [told["base_url"] for told in accounts.values() if told["key"]]


async def _try(api: ApiClient, live: Live, agent: AgentKind, say: Say) -> Tried:
    """Whatever goes wrong with one agent is its own result: the others are still tried."""
    began = time.monotonic()
    say(f"{agent.value} begins")
    try:
        async with asyncio.timeout(_LIMIT_S):
            project_id, task, why = await _delivered(api, live, agent)
            found = await _judged(api, agent, project_id, task, why, time.monotonic() - began)
    except (OrchestratorError, TimeoutError) as error:
        found = Tried(agent, "not finished", time.monotonic() - began, why=str(error) or "it took too long")
    say(f"{agent.value}: {found.state} after {found.seconds:.0f} s")
    return found


async def _delivered(api: ApiClient, live: Live, agent: AgentKind) -> tuple[str, TaskDTO, str]:
    """The project, and its task when it has ended, with the reason.

    Nobody is there to answer: a task that asks is cancelled, with its question as the reason.
    """
    project = await api.create_project(ProjectCreate(id=new_id(), name=f"live-{agent.value}", title=live.wish[:200]))
    await api.choose_setting(project.id, "project_budget_usd", live.budget_usd)
    start = DeliveryStart(
        request_id=new_id(), project_id=project.id, wish=live.wish, title=live.wish[:200], agent=agent
    )
    started = await api.start_delivery(start)
    await appeared(api, started)
    await follow(api, started.task_id, Output(as_json=False), until_question=True)
    task, asked = await api.task(started.task_id), await api.questions(project_id=project.id)
    if task.state.is_final:
        return project.id, task, task.error or ""
    await api.cancel_task(task.id)
    await follow(api, task.id, Output(as_json=False))
    said = " ".join(question.text for question in asked)
    return project.id, await api.task(task.id), f"it asked, and nobody was there to answer: {said}"


async def _judged(api: ApiClient, agent: AgentKind, project_id: str, task: TaskDTO, why: str, seconds: float) -> Tried:
    url = str(task.result.get("deployed_url") or "")
    cost = (await api.costs(project_id=project_id)).total
    return Tried(
        agent, task.state.value, seconds, why, url, await _answers(url) if url else (), len(built(task.criteria)),
        len(not_built(task.criteria)), len(not_checked(task.criteria)), cost.model_dump(mode="json"),
    )  # fmt: skip


async def _answers(url: str) -> tuple[str, ...]:
    """What the service says to anybody; nothing when it does not answer well."""
    try:
        answers = await visit(url)
    except OrchestratorError:
        return ()
    if not all(answer.good for answer in answers):
        return ()
    return tuple(f"{answer.method} {answer.path} {answer.status}" for answer in answers)
