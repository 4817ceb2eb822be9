"""Commands against the real API and its database; what workflows would do is said by the test."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.support.api import Api, Headers, running_api, served
from tests.support.commands import Said, run_command

PASSED = ("PATH", "HOME", "LANG")


@dataclass(frozen=True)
class Terminal:
    """Somebody's shell, with their key."""

    api: Api
    url: str
    key: str

    async def says(self, *arguments: str, stdin: str = "") -> Said:
        env = {"ORCHESTRATOR_API_URL": self.url, "ORCHESTRATOR_TOKEN": self.key, "COLUMNS": "200"}
        return await run_command(*arguments, env=env, stdin=stdin)

    def of(self, person: Headers) -> "Terminal":
        return Terminal(self.api, self.url, person["Authorization"].removeprefix("Bearer "))


@pytest_asyncio.fixture(scope="module")
async def terminal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    async with running_api(tmp_path_factory.mktemp("api")) as api, served(api.app) as url:
        yield Terminal(api, url, "").of(api.admin)


@pytest.mark.parametrize(
    ("state", "code", "word"),
    [("completed", 0, "completed"), ("failed", 1, "failed"), ("cancelled", 1, "was cancelled")],
)
async def test_watching_a_task_ends_with_how_it_ended(terminal: Terminal, state: str, code: int, word: str) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    task = await api.new_task(project)
    assert await api.project_task(task, project, seq=2, state=state, error="for a reason", error_code="INTERNAL")
    watched = await terminal.says("task", "watch", task)
    assert (watched.code, f"{task} {word}" in watched.out) == (code, True), watched
    assert (await terminal.says("task", "watch", task, "--json")).code == code


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("plain\n", "plain"),
        ("from windows\r\n", "from windows"),
        ("  spaces at both ends  \n", "  spaces at both ends  "),
        ("\ttabs\t", "\ttabs\t"),
        ("ends with lines\n\n\n", "ends with lines\n\n"),
        ("-----BEGIN KEY-----\nпароль 🔑\n-----END KEY-----\n", "-----BEGIN KEY-----\nпароль 🔑\n-----END KEY-----"),
    ],
)
async def test_a_secret_is_stored_as_it_was_typed_but_for_one_line_end(
    terminal: Terminal, typed: str, stored: str
) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    said = await terminal.says("secret", "set", project, "TOKEN", stdin=typed)
    assert said.code == 0, said
    reference = f"secret://projects/{project}/TOKEN"
    reply = await api.http.post("/internal/secrets/reveal", json={"refs": [reference]}, headers=api.platform)
    assert reply.json()["values"] == {reference: stored}


async def test_a_cancel_asks_the_workflow_of_this_task_and_no_other(terminal: Terminal) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    task, other = await api.new_task(project), await api.new_task(project)
    assert (await terminal.says("task", "cancel", task)).code == 0
    assert api.gateway.cancelled == [f"engineering/{task}"]
    assert other not in str(api.gateway.cancelled)


async def test_a_deploy_is_taken_back_alone_because_others_may_wait_behind_it(terminal: Terminal) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    task = f"dep-{uuid4().hex[:12]}"
    assert await api.project_task(task, project, seq=1, kind="deploy", workflow_id=f"deploy/{project}")
    api.gateway.cancelled.clear()
    assert (await terminal.says("task", "cancel", task)).code == 0
    assert api.gateway.cancelled == []
    assert [message.task_id for message in api.gateway.withdrawn] == [task]


async def test_a_person_sees_and_stops_only_what_is_theirs(terminal: Terminal) -> None:
    api = terminal.api
    _, member = await api.new_user()
    project = await api.new_project(api.admin)
    task = await api.new_task(project)
    theirs = terminal.of(member)
    api.gateway.cancelled.clear()
    for command in (("task", "show", task), ("task", "cancel", task), ("task", "watch", task), ("task", "logs", task)):
        said = await theirs.says(*command, "--json")
        assert (said.code, said.json["error"]["code"]) == (3, "NOT_FOUND"), command
    listed = await theirs.says("task", "list", "--json")
    assert task not in listed.out
    assert api.gateway.cancelled == []


async def test_the_whole_of_a_long_log_is_printed(terminal: Terminal) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    lines = "".join(f"line {number:06} of the report\n" for number in range(10_000))
    reference = await api.state.artifacts.put("REPORT", lines.encode())
    task = await api.new_task(project, artifacts=[reference.model_dump()])
    said = await terminal.says("task", "logs", task)
    assert said.code == 0, said.err
    assert "line 000000 of the report" in said.out
    assert "line 009999 of the report" in said.out
