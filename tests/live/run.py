"""Each agent builds the wish as a project of its own, through a platform that begins and ends with this."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.demo.service_check import visit
from contracts.errors import OrchestratorError
from contracts.states import AgentKind
from tests.live.report import Tried
from tests.live.selection import Live, Refused
from tests.support.ports import any_free
from tests.support.services.container_service import no_engine
from tests.support.stack import FINAL, Stack, running_stack

_LIMIT_S = 3 * 3600.0
_LOOK_S = 2.0
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
    async with running_stack(home, **own) as stack:
        await stack.ok("settings", "set", "monthly_budget_usd", str(live.at_most_usd))
        tried = [await _try(stack, live, agent, say) for agent in live.agents]
        return tried, await _upstreams(stack)


async def _upstreams(stack: Stack) -> list[str]:
    accounts = (await stack.ok("status"))["models"]["accounts"]
    return [told["base_url"] for told in accounts.values() if told["key"]]


async def _try(stack: Stack, live: Live, agent: AgentKind, say: Say) -> Tried:
    """Whatever goes wrong with one agent is its own result: the others are still tried."""
    began = time.monotonic()
    try:
        project = await stack.new_project(f"live-{agent.value}")
        await stack.ok("settings", "set", "project_budget_usd", str(live.budget_usd), "-p", project)
        arguments = ("delivery", "start", "-p", project, "--agent", agent.value, live.wish)
        task_id = str((await stack.ok(*arguments))["task_id"])
        say(f"{agent.value}: {task_id} has begun")
        task, why = await _ended(stack, project, task_id, say)
    except (AssertionError, TimeoutError) as error:
        return Tried(agent, "not finished", time.monotonic() - began, why=str(error) or "it took too long")
    found = await _judged(stack, agent, project, task, why, time.monotonic() - began)
    say(f"{agent.value}: {found.state} after {found.seconds:.0f} s {found.url}")
    return found


async def _ended(stack: Stack, project: str, task_id: str, say: Say) -> tuple[dict[str, Any], str]:
    """The task when it has ended. Nobody is there to answer a question: what asks one is cancelled, with its words."""
    why, stage = "", ""
    async with asyncio.timeout(_LIMIT_S):
        while True:
            task = await stack.get(f"/tasks/{task_id}")
            if task["state"] in FINAL:
                return task, why or str(task.get("error") or "")
            if task["stage"] != stage:
                stage = task["stage"]
                say(f"  {stage}")
            asked = (await stack.get("/questions", project_id=project, state="open"))["items"]
            if asked and not why:
                why = f"it asked, and nobody was there to answer: {asked[0]['text']}"
                await stack.ok("task", "cancel", task_id)
            await asyncio.sleep(_LOOK_S)


async def _judged(
    stack: Stack, agent: AgentKind, project: str, task: dict[str, Any], why: str, seconds: float
) -> Tried:
    url = str(task["result"].get("deployed_url") or "")
    states = [one["state"] for one in task["criteria"]]
    report = await stack.get("/costs", project_id=project)
    return Tried(
        agent, task["state"], seconds, why, url, await _answers(url) if url else (),
        states.count("met"), states.count("not_met"), states.count("not_checkable"), report["total"],
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
