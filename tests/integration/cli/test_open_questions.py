"""Wherever a project or a task is shown, its open question is too, with the command that answers it."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.integration.cli.test_over_http import Terminal
from tests.support.api import milestone, question_document, release, running_api, served


@pytest_asyncio.fixture(scope="module")
async def terminal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    async with running_api(tmp_path_factory.mktemp("api")) as api, served(api.app) as url:
        yield Terminal(api, url, "").of(api.admin)


async def asking(terminal: Terminal, **fields: object) -> tuple[str, str, str, str]:
    """A delivery whose deploy asks: its project, the delivery, the deploy, the question."""
    api = terminal.api
    project = await api.new_project(api.admin)
    delivery, deploy = f"dlv-{uuid4().hex[:12]}", f"dep-{uuid4().hex[:12]}"
    question = question_document(deploy, project, workflow_id=f"deploy/{project}", **fields)
    known = {"state": "waiting", "question_id": question["id"]}
    assert await api.project_task(
        delivery, project, seq=1, kind="delivery", workflow_id=f"delivery/{delivery}", **known
    )
    told = {**milestone(f"Question: {question['text']}"), "question_id": question["id"]}
    assert await api.project_task(
        deploy, project, seq=1, kind="deploy", workflow_id=f"deploy/{project}", parent_task_id=delivery,
        question=question, milestone=told, **known,
    )  # fmt: skip
    return project, delivery, deploy, str(question["id"])


async def test_an_open_question_is_shown_with_its_answer_wherever_people_look(terminal: Terminal) -> None:
    fields = {"kind": "secret", "secret_names": ["BOT_TOKEN", "API_KEY"], "choices": ["stop"], "text": "It needs two."}
    project, delivery, deploy, question = await asking(terminal, **fields)
    for command in (("deploy", "status"), ("engineering", "status"), ("project", "show")):
        said = await terminal.says(*command, project)
        assert said.code == 0, said
        assert f"Open question {question}: It needs two." in said.out, command
        for name in ("BOT_TOKEN", "API_KEY"):
            assert f"Next: orchestrator answer {question} --secret {name}" in said.out, command
    for task in (delivery, deploy):
        said = await terminal.says("task", "show", task)
        assert f"Next: orchestrator question show {question}" in said.out, said
    machine = await terminal.says("deploy", "status", project, "--json")
    assert machine.json["items"] == [], "one document, as before"


async def test_a_project_that_waits_for_nobody_says_nothing_of_questions(terminal: Terminal) -> None:
    project = await terminal.api.new_project(terminal.api.admin)
    for command in (("deploy", "status"), ("engineering", "status"), ("project", "show")):
        assert "question" not in (await terminal.says(*command, project)).out.lower(), command


async def test_an_answer_leads_to_the_delivery_that_the_person_knows(terminal: Terminal) -> None:
    _, delivery, deploy, question = await asking(terminal, choices=["approve", "stop"])
    said = await terminal.says("answer", question, "approve")
    assert said.code == 0, said
    assert f"Next: orchestrator task watch {delivery}" in said.out
    assert deploy not in said.out


async def test_a_stored_secret_leads_to_the_delivery_that_waits_for_it(terminal: Terminal) -> None:
    project, delivery, _, question = await asking(terminal, kind="secret", secret_names=["BOT_TOKEN", "API_KEY"])
    said = await terminal.says("secret", "set", project, "BOT_TOKEN", stdin="v\n")
    assert f"{delivery} goes on once it has everything" in said.out, said
    assert f"orchestrator question show {question}" in said.out


@pytest.mark.parametrize(
    ("online", "before", "said", "unsaid"),
    [
        (False, False, "Nothing of this project is online", "old value"),
        (False, True, "Nothing of this project is online", "old value"),
        (True, False, "Nothing that runs has TOKEN until the next deploy", "old value"),
        (True, True, "What runs keeps the old value of TOKEN, if it uses it, until the next deploy", "Nothing"),
    ],
)
async def test_a_stored_secret_is_new_or_replaced_in_words_that_are_true(
    terminal: Terminal, online: bool, before: bool, said: str, unsaid: str
) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    if online:
        recorded = release(project)
        for state in ("pending", "active"):
            await api.http.put("/internal/releases", json={**recorded, "state": state}, headers=api.platform)
    if before:
        await terminal.says("secret", "set", project, "TOKEN", stdin="v\n")
    stored = await terminal.says("secret", "set", project, "TOKEN", stdin="w\n")
    assert (stored.code, said in stored.out, unsaid in stored.out) == (0, True, False), stored
    gone = await terminal.says("secret", "delete", project, "TOKEN")
    assert ("What runs keeps its value" in gone.out) is online, gone
