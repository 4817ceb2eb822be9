"""A person at a terminal: what is asked under --watch is answered there, by number too, and printed once."""

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.support.api import Api, milestone, question_document, running_api, served
from tests.support.command_server import ROOT
from tests.support.eventually import eventually


@pytest_asyncio.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Api, str]]:
    async with running_api(tmp_path_factory.mktemp("api")) as api, served(api.app) as url:
        yield api, url


@dataclass
class Screen:
    """A terminal in which one command runs."""

    process: asyncio.subprocess.Process
    descriptor: int
    shown: str = ""
    readers: list[int] = field(default_factory=list)

    def read(self) -> None:
        try:
            self.shown += os.read(self.descriptor, 65_536).decode(errors="replace")
        except OSError:
            asyncio.get_running_loop().remove_reader(self.descriptor)

    async def sees(self, text: str) -> None:
        await eventually(lambda: text in self.shown, 20, message=f"{text!r} is shown")

    def types(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    async def ends(self) -> int:
        code = await asyncio.wait_for(self.process.wait(), 60)
        await asyncio.sleep(0.1)
        return code


@pytest_asyncio.fixture
async def screens() -> AsyncIterator[list[Screen]]:
    opened: list[Screen] = []
    yield opened
    for screen in opened:
        asyncio.get_running_loop().remove_reader(screen.descriptor)
        if screen.process.returncode is None:
            screen.process.kill()
            await screen.process.wait()
        os.close(screen.descriptor)


async def watch(place: tuple[Api, str], task: str, screens: list[Screen]) -> Screen:
    api, url = place
    ours, theirs = pty.openpty()
    key = api.admin["Authorization"].removeprefix("Bearer ")
    env = {"PATH": os.environ["PATH"], "ORCHESTRATOR_API_URL": url, "ORCHESTRATOR_TOKEN": key, "COLUMNS": "120"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "task", "watch", task, cwd=ROOT, env=env,
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    screen = Screen(process, ours)
    asyncio.get_running_loop().add_reader(ours, screen.read)
    screens.append(screen)
    return screen


async def asked(api: Api, **fields: object) -> tuple[str, str, dict[str, object]]:
    """A project's task that has asked: its project, its id and the question."""
    project = await api.new_project(api.admin)
    task = f"eng-{uuid4().hex[:12]}"
    question = question_document(task, project, **fields)
    told = {**milestone(f"Question: {question['text']}"), "question_id": question["id"]}
    await api.project_task(task, project, seq=1, state="waiting", question=question, milestone=told)
    return project, task, question


async def goes_on(api: Api, project: str, task: str, question: dict[str, object], said: str) -> None:
    """What the workflow does once it has its answer."""
    closed = {**question, "state": "answered", "answer": said}
    told = {**milestone(f"Answered: {said}"), "question_id": question["id"]}
    await api.project_task(task, project, seq=2, question=closed, milestone=told)
    await api.project_task(task, project, seq=3, state="completed", milestone=milestone("done", "completed"))


async def test_a_question_is_printed_once_and_answered_by_its_number(
    place: tuple[Api, str], screens: list[Screen]
) -> None:
    api, _ = place
    project, task, question = await asked(api, text="Which colour shall it have?", choices=["red", "dark blue"])
    screen = await watch(place, task, screens)
    await screen.sees("leaves the question open): ")
    screen.types("2\n")
    await eventually(lambda: any(workflow == f"engineering/{task}" for workflow, _, _ in api.gateway.answers), 20)
    [answer] = [command.text for workflow, command, _ in api.gateway.answers if workflow == f"engineering/{task}"]
    assert answer == "dark blue"
    await goes_on(api, project, task, question, answer)
    assert await screen.ends() == 0
    assert screen.shown.count("Which colour shall it have?") == 1
    assert "completed" in screen.shown


async def test_a_secret_is_typed_unseen(place: tuple[Api, str], screens: list[Screen]) -> None:
    api, _ = place
    project, task, question = await asked(api, kind="secret", text="It needs a token.", secret_names=["BOT_TOKEN"])
    screen = await watch(place, task, screens)
    await screen.sees("Value of BOT_TOKEN")
    await asyncio.sleep(0.3)
    screen.types("value-that-nobody-sees\n")
    await eventually(lambda: any(workflow == f"engineering/{task}" for workflow, _, _ in api.gateway.answers), 20)
    await goes_on(api, project, task, question, "")
    assert await screen.ends() == 0
    assert "value-that-nobody-sees" not in screen.shown
    reference = f"secret://projects/{project}/BOT_TOKEN"
    reply = await api.http.post("/internal/secrets/reveal", json={"refs": [reference]}, headers=api.platform)
    assert reply.json()["values"] == {reference: "value-that-nobody-sees"}


async def test_an_answer_from_elsewhere_takes_the_prompt_back(place: tuple[Api, str], screens: list[Screen]) -> None:
    api, _ = place
    project, task, question = await asked(api)
    screen = await watch(place, task, screens)
    await screen.sees("leaves the question open): ")
    await goes_on(api, project, task, question, "from the chat")
    assert await screen.ends() == 0
    assert "Answered: from the chat" in screen.shown
    assert not [one for one in api.gateway.answers if one[0] == f"engineering/{task}"]


async def test_enter_alone_leaves_the_question_open_and_the_watch_goes_on(
    place: tuple[Api, str], screens: list[Screen]
) -> None:
    api, _ = place
    project, task, question = await asked(api)
    screen = await watch(place, task, screens)
    await screen.sees("leaves the question open): ")
    screen.types("\n")
    await screen.sees("Not answered")
    assert not [one for one in api.gateway.answers if one[0] == f"engineering/{task}"]
    await goes_on(api, project, task, question, "later")
    assert await screen.ends() == 0
