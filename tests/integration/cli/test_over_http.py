"""Commands against the real API and its database; what workflows would do is said by the test."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from cli.client.watching import follow
from cli.terminal.output import Output
from contracts.states import ActorVia
from runtime import private_files
from runtime.api_client import ApiClient
from runtime.temporal.gateway import WorkflowDescription
from tests.support.api import Api, Headers, milestone, question_document, release, running_api, served
from tests.support.commands import Said, run_command
from tests.support.eventually import eventually

PASSED = ("PATH", "HOME", "LANG")


@dataclass(frozen=True)
class Terminal:
    """A user's shell, with their key."""

    api: Api
    url: str
    key: str

    async def says(self, *arguments: str, stdin: str = "", **variables: str) -> Said:
        env = {"ORCHESTRATOR_API_URL": self.url, "ORCHESTRATOR_TOKEN": self.key, "COLUMNS": "200", **variables}
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


async def test_a_failed_task_names_the_command_that_goes_on_and_it_does(terminal: Terminal) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    started = await terminal.says("engineering", "start", "-p", project, "A blog", "--json")
    task = json.loads(started.out)["task_id"]
    await api.project_task(task, project, seq=1, state="failed", error="for a reason", error_code="AGENT_LOST")
    shown = await terminal.says("task", "show", task)
    assert f"task retry {task}" in shown.out + shown.err
    arguments = ("--agent", "codex", "--model", "m-1", "--advice", "Use a fixture.", "--skip-review", "--json")
    again = await terminal.says("task", "retry", task, *arguments)
    assert again.code == 0, again
    message = api.gateway.started[-1].model_dump(mode="json")
    assert (message["agent"], message["model"], message["advice"]) == ("codex", "m-1", "Use a fixture.")
    assert (message["skip"], json.loads(again.out)["task_id"]) == (["review"], message["task_id"])


async def test_a_deploy_is_taken_back_alone_because_others_may_wait_behind_it(terminal: Terminal) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    task = f"dep-{uuid4().hex[:12]}"
    assert await api.project_task(task, project, seq=1, kind="deploy", workflow_id=f"deploy/{project}")
    api.gateway.cancelled.clear()
    assert (await terminal.says("task", "cancel", task)).code == 0
    assert api.gateway.cancelled == []
    assert [message.task_id for message in api.gateway.withdrawn] == [task]


async def test_a_renamed_project_answers_to_its_new_name_only(terminal: Terminal) -> None:
    project = await terminal.api.new_project(terminal.api.admin)
    old, new = (await terminal.api.slug(project)).rpartition("-")[0], f"n{uuid4().hex[:12]}"
    renamed = await terminal.says("project", "rename", old, new)
    assert (renamed.code, renamed.out.strip()) == (0, f"Project {old} is now named {new}."), renamed
    assert (await terminal.says("project", "show", old)).code == 3
    shown = await terminal.says("project", "show", new)
    assert project in shown.out
    assert (await terminal.says("project", "rename", new, "Not A Name")).code == 2


async def test_what_an_archived_project_left_online_can_still_be_taken_offline(terminal: Terminal) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    assert (await terminal.says("project", "archive", project)).code == 0
    assert (await terminal.says("deploy", "start", project)).code == 5
    api.gateway.started.clear()
    for action in (("stop",), ("remove", "--yes")):
        said = await terminal.says("deploy", action[0], project, *action[1:])
        assert said.code == 0, said
    assert [message.action.value for message in api.gateway.started] == ["stop", "remove"]


async def test_what_is_wrong_with_a_live_service_and_where_each_is_reached_is_shown_long_after_its_deploy(
    terminal: Terminal,
) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    live = release(
        project, url="http://localhost:1", links={"backend": "http://localhost:1", "tg_bot": "https://t.me/a"}
    )
    for state in ("pending", "active"):
        sent = await api.http.put("/internal/releases", json=live | {"state": state}, headers=api.platform)
        assert sent.status_code == 200, sent.text
    since = "2026-01-01T00:00:00Z"
    crashing = {"state": "unhealthy", "since": since, "restarts": 7, "error": "tg_bot answered 500"}
    services = {"backend": {"state": "healthy", "since": since}, "tg_bot": crashing}
    path = f"/internal/releases/{live['id']}/health"
    seen = await api.http.put(path, json={"seen_at": since, "services": services}, headers=api.platform)
    assert seen.status_code == 200, seen.text
    shown = (await terminal.says("project", "show", project)).out
    assert "https://t.me/a" in shown
    assert "backend healthy since" in shown
    assert "tg_bot unhealthy since 2026-01-01 00:00 UTC, 7 restarts: tg_bot answered 500" in shown
    assert "active, unhealthy: tg_bot, 7 restarts" in (await terminal.says("deploy", "status", project)).out


async def test_the_operator_of_this_home_goes_over_http_and_is_known_to_use_the_command_line(
    terminal: Terminal, tmp_path: Path
) -> None:
    api = terminal.api
    key = tmp_path / "keys" / "admin.key"
    private_files.make_directory(key.parent)
    private_files.replace(key, terminal.key)
    port = terminal.url.rpartition(":")[2]
    env = {"ORCHESTRATOR_HOME": str(tmp_path), "ORCHESTRATOR_API_PORT": port, "COLUMNS": "200"}
    project = await api.new_project(api.admin)
    api.gateway.started.clear()
    said = await run_command("delivery", "start", "-p", project, "A blog", "--json", env=env)
    assert said.code == 0, said
    [message] = api.gateway.started
    assert message.task_id == said.json["task_id"]
    assert message.actor.via is ActorVia.CLI


async def test_a_task_without_a_row_yet_is_shown_as_temporal_knows_it(terminal: Terminal) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    started = (await terminal.says("engineering", "start", "-p", project, "A blog", "--json")).json
    task_id, workflow_id = started["task_id"], started["workflow_id"]
    assert (await terminal.says("task", "show", task_id)).code == 3
    api.gateway.described[workflow_id] = WorkflowDescription(
        workflow_id=workflow_id, run_id="r", type="engineering", status="running", project_id=project, task_id=task_id
    )
    shown = await terminal.says("task", "show", task_id, "--json")
    assert (shown.code, shown.json["state"], shown.json["stage"]) == (0, "running", "starting")


async def test_an_api_that_needs_its_time_is_asked_how_it_is_and_waited_for(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def describe_slowly(workflow_id: str) -> None:
        await asyncio.sleep(2.5)

    await terminal.api.new_project(terminal.api.admin)
    monkeypatch.setattr(terminal.api.gateway, "describe", describe_slowly)
    said = await terminal.says("task", "show", f"eng-{uuid4().hex[:12]}", "--json")
    assert (said.code, said.json["error"]["code"]) == (3, "NOT_FOUND")


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


async def test_settings_are_chosen_shown_and_taken_back(terminal: Terminal) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    of_project = ("-p", project, "--json")
    chosen = await terminal.says("settings", "set", "approve_deploys", "true", *of_project)
    assert chosen.code == 0, chosen
    assert (await terminal.says("settings", "set", "agent", "claude-code", *of_project)).code == 0
    shown = await terminal.says("settings", "show", *of_project)
    values = {item["name"]: (item["value"], item["source"]) for item in shown.json["items"]}
    assert (values["approve_deploys"], values["agent"]) == ((True, "project"), ("claude-code", "project"))
    assert (await terminal.says("settings", "unset", "agent", *of_project)).code == 0
    history = await terminal.says("settings", "history", "agent", *of_project)
    assert [one["value"] for one in history.json["items"]] == [None, "claude-code"]
    for wrong, code in ((("max_round", "3"), "UNKNOWN_SETTING"), (("max_rounds", "eleven"), "BAD_SETTING_VALUE")):
        said = await terminal.says("settings", "set", *wrong, *of_project)
        assert (said.code != 0, said.json["error"]["code"]) == (True, code)


async def test_a_setting_that_nothing_reads_yet_is_said_to_be_one(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "not used yet" not in (await terminal.says("settings", "show")).out
    monkeypatch.setattr("api.settings.replies.NOT_YET_READ", frozenset({"retention_days"}))
    said = (await terminal.says("settings", "show")).out.splitlines()
    assert [line.split()[0] for line in said if "not used yet" in line] == ["retention_days"]


async def test_a_watched_task_shows_its_question_by_id_and_the_work_below_it(terminal: Terminal) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    parent = await api.new_task(project)
    below = f"eng-{uuid4().hex[:12]}"
    question = question_document(below, project, text="Which colour?")
    asks = {**milestone("Something is asked in words of its own"), "question_id": question["id"]}
    await api.project_task(
        below, project, seq=1, state="waiting", parent_task_id=parent, question=question, milestone=asks
    )
    watching = asyncio.create_task(terminal.says("task", "watch", parent, "--json"))
    for task_id, seq in ((below, 2), (parent, 3)):
        done = milestone("done", "completed")
        await api.project_task(task_id, project, seq=seq, state="completed", milestone=done)
    said = await watching
    documents = [json.loads(line) for line in said.out.splitlines()]
    assert [one["question"]["id"] for one in documents if "question" in one] == [question["id"]]
    assert [one["event"]["task_id"] for one in documents if "event" in one] == [below, below, parent]
    logs = await terminal.says("task", "logs", parent)
    assert f"orchestrator task logs {below}" in logs.out


async def test_the_number_of_a_printed_step_is_where_the_next_watch_goes_on(terminal: Terminal) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    parent, below = f"dlv-{uuid4().hex[:12]}", f"eng-{uuid4().hex[:12]}"
    delivery = {"kind": "delivery", "workflow_id": f"delivery/x/{parent}"}
    for task, seq, percent, fields in (
        (parent, 1, 5, delivery),
        (below, 2, 20, {"parent_task_id": parent}),
        (below, 3, 65, {"parent_task_id": parent}),
        (below, 4, 35, {"parent_task_id": parent}),
        (below, 5, 100, {"parent_task_id": parent, "state": "completed"}),
        (parent, 6, 100, {**delivery, "state": "completed"}),
    ):
        said = {**milestone(f"step {seq}"), "progress_pct": percent}
        await api.project_task(task, project, seq=seq, milestone=said, **fields)
    whole = [line for line in (await terminal.says("task", "watch", parent)).out.splitlines() if "step" in line]
    assert [line.split()[0] for line in whole] == ["1", "2", "3", "4", "5", "6"]
    assert [line.rpartition("(")[2] for line in whole] == ["5 %)", "16 %)", "40 %)", "40 %)", "60 %)", "100 %)"]
    for number in (1, 3, 5):
        rest = (await terminal.says("task", "watch", parent, "--after", str(number))).out.splitlines()
        assert [line for line in rest if "step" in line] == whole[number:]
    documents = (await terminal.says("task", "watch", parent, "--after", "4", "--json")).out.splitlines()
    events = [document for document in map(json.loads, documents) if "event" in document]
    assert [(one["number"], one["event"]["percent"]) for one in events] == [(5, 60), (6, 100)]
    logs = [line for line in (await terminal.says("task", "logs", below)).out.splitlines() if "step" in line]
    assert [line.split()[0] for line in logs] == ["1", "2", "3", "4"]


async def test_a_question_that_is_still_open_is_shown_behind_its_step_too(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    task = await api.new_task(project, milestone=milestone("first"))
    question = question_document(task, project, text="Which colour?")
    asks = {**milestone("asked"), "question_id": question["id"]}
    await api.project_task(task, project, seq=2, state="waiting", question=question, milestone=asks)
    said: list[str] = []

    def is_asked() -> bool:
        said.append(capsys.readouterr().out)
        return "Which colour?" in "".join(said)

    async with ApiClient(terminal.url, terminal.key) as client:
        watching = asyncio.create_task(follow(client, task, Output(as_json=True), after=2))
        await eventually(is_asked)
        await api.project_task(task, project, seq=3, state="completed", milestone=milestone("done", "completed"))
        await watching
    lines = ("".join(said) + capsys.readouterr().out).splitlines()
    documents = [
        json.loads(line) for line in lines if line.startswith("{")
    ]  # the API of this process logs between them
    assert [one["number"] for one in documents if "event" in one] == [3]
