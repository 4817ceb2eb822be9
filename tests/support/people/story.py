"""One scenario while it runs: what was started, what was seen on the way."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from temporalio.api.enums.v1 import EventType

from contracts import ids
from contracts.states import TaskKind
from tests.support.eventually import eventually
from tests.support.outside import Outside, answer, processes_of
from tests.support.stack import Said, Stack

ENTITY = "A library with books: title, author, year:int"
SECOND_ENTITY = "A shop with offers: label, price:int"


@dataclass(frozen=True)
class Cancelled:
    """A confirmed cancellation: the task, how long it took by the platform's own record, what worked before and what
    was left."""

    task: dict[str, Any]
    seconds: float
    before: list[str]
    left: list[str]


@dataclass(frozen=True)
class Person:
    """A person other than the administrator, with a key, who uses HTTP."""

    stack: Stack
    user_id: int
    key: str

    @property
    def env(self) -> dict[str, str]:
        return {"ORCHESTRATOR_API_URL": f"http://127.0.0.1:{self.stack.port_base}", "ORCHESTRATOR_TOKEN": self.key}

    async def cli(self, *arguments: str, stdin: str = "") -> Said:
        return await self.stack.cli(*arguments, "--json", stdin=stdin, env=self.env)


@dataclass
class Story:
    """`tasks` are what a golden history may be recorded of, with its name, and so are `runs` of workflows that have no
    task; `seen` is for those who judge."""

    stack: Stack
    project: str
    name: str
    tasks: list[tuple[str, str]] = field(default_factory=list)
    runs: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Workflow, name, workflow id and run id."""
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def outside(self) -> Outside:
        return Outside(self.stack, self.name)

    @classmethod
    async def begin(cls, stack: Stack, *modules: str) -> "Story":
        """A project of its own."""
        name = f"p{uuid4().hex[:8]}"
        project = await stack.new_project(name, *modules)
        # Whatever the installation is set to meanwhile: stories are told beside tests that need it otherwise.
        await stack.ok("settings", "set", "acceptance", "off", "--project", project)
        return cls(stack, project, name)

    async def start(self, kind: str, history: str, *arguments: str) -> str:
        """`delivery|engineering start`; returns the task's id."""
        started = await self.stack.ok(kind, "start", "--project", self.project, *arguments)
        self.tasks.append((history, started["task_id"]))
        return str(started["task_id"])

    async def built(self, history: str, wish: str) -> str:
        """Engineering that must succeed; returns the commit."""
        return str(
            (await self.ended(await self.start("engineering", history, wish), "completed"))["result"]["commit_sha"]
        )

    async def deploy(self, history: str, *arguments: str, action: str = "start") -> str:
        """`deploy …`; returns the task's id."""
        started = await self.stack.ok("deploy", action, self.project, *arguments)
        self.tasks.append((history, started["task_id"]))
        return str(started["task_id"])

    async def deployed(self, history: str, *arguments: str, action: str = "start") -> dict[str, Any]:
        """A deploy that must succeed."""
        return await self.ended(await self.deploy(history, *arguments, action=action), "completed")

    async def ended(self, task_id: str, state: str) -> dict[str, Any]:
        """The task at its end, which must be this one."""
        task = await self.stack.finished(task_id)
        assert task["state"] == state, task
        return task

    async def answered(self, text: str, *, other_than: str = "") -> dict[str, Any]:
        """Wait for the question and answer it; returns the question."""
        question = await self.stack.question(self.project, other_than=other_than)
        await self.stack.ok("answer", question["id"], text)
        return question

    async def status(self) -> str:
        """The project's status."""
        return str((await self.stack.get(f"/projects/{self.project}"))["project"]["status"])

    async def health(self) -> dict[str, Any]:
        """What the project's URL answers now."""
        return await answer(str(self.seen["url"]))

    async def working(self, mark: str, *words: str) -> list[str]:
        """Wait for processes of a task or a release, those whose line has one of `words`."""

        async def found() -> list[str]:
            lines = await processes_of(self.stack, mark)
            return [line for line in lines if not words or any(word in line for word in words)]

        return await eventually(found, 60, message=f"processes of {mark}")

    async def cancel(
        self, task_id: str, *, before: list[str] | None = None, meanwhile: Callable[[], Awaitable[None]] | None = None
    ) -> Cancelled:
        """`task cancel`, and what remains of the task and the work below it when the task says cancelled."""
        await self.stack.ok("task", "cancel", task_id)
        if meanwhile is not None:
            await meanwhile()
        task = await self.stack.finished(task_id, 30)
        seconds = await _until_confirmed(self.stack, task)
        return Cancelled(task, seconds, before or [], await processes_of(self.stack, task_id.partition("-")[2]))


def below(delivery: str) -> tuple[str, str, str]:
    """Engineering task, deploy task and release of a delivery."""
    deploy = ids.child_task_id(delivery, TaskKind.DEPLOY)
    return ids.child_task_id(delivery, TaskKind.ENGINEERING), deploy, ids.release_id_for_task(deploy)


async def _until_confirmed(stack: Stack, task: dict[str, Any]) -> float:
    """Seconds from the moment in which Temporal took the cancel to the one in which the task said so."""
    client = await stack.client()
    asked = None
    async for event in client.get_workflow_handle(task["workflow_id"], run_id=task["run_id"]).fetch_history_events():
        accepted = event.workflow_execution_update_accepted_event_attributes.accepted_request.meta.update_id
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED or (
            accepted == f"{task['id']}/withdraw"
        ):
            asked = event.event_time.ToDatetime(UTC)
    assert asked is not None, f"no cancel in the history of {task['workflow_id']}"
    return (datetime.fromisoformat(task["updated_at"]) - asked).total_seconds()


async def new_person(stack: Stack) -> Person:
    """A member with an id of its own."""
    user_id = uuid4().int % 2**40 + 2
    made = await stack.ok("user", "add", str(user_id))
    return Person(stack, user_id, made["api_key"])


async def stages(stack: Stack, task_id: str) -> list[str]:
    """The stage of each milestone of a task, in order."""
    items = (await stack.get(f"/tasks/{task_id}/events"))["items"]
    return [one["event"]["current_step"] for one in items if one["grain"] == "milestone"]


async def milestones(stack: Stack, task_id: str) -> list[str]:
    """What people were told of a task, in order."""
    items = (await stack.get(f"/tasks/{task_id}/events"))["items"]
    return [one["event"]["message"] for one in items if one["grain"] == "milestone"]
