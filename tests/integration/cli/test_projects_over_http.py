"""Commands about projects and their secrets, against the real API."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from cli.client.services import stop_all
from cli.terminal.output import Output
from runtime.api_client import ApiClient
from tests.integration.cli.test_over_http import Terminal
from tests.support.api import Api, release, running_api, served
from tests.support.eventually import eventually
from tests.support.patience import patience, within


@pytest_asyncio.fixture(scope="module")
async def terminal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    async with running_api(tmp_path_factory.mktemp("api")) as api, served(api.app) as url:
        yield Terminal(api, url, "").of(api.admin)


def name() -> str:
    return f"n{uuid4().hex[:10]}"


async def online(api: Api, project: str) -> None:
    recorded = release(project)
    for state in ("pending", "active"):
        await api.http.put("/internal/releases", json={**recorded, "state": state}, headers=api.platform)


async def test_an_archived_project_is_shown_stopped_and_brought_back_by_its_name(terminal: Terminal) -> None:
    wanted = name()
    await terminal.api.new_project(terminal.api.admin, name=wanted)
    said = await terminal.says("project", "archive", wanted)
    assert (said.code, f"project unarchive {wanted}" in said.out) == (0, True), said
    for command in (("project", "show", wanted), ("deploy", "stop", wanted), ("deploy", "restart", wanted)):
        assert (await terminal.says(*command)).code == 0, command
    said = await terminal.says("project", "unarchive", wanted)
    assert (said.code, said.out.strip()) == (0, f"Project {wanted} is draft."), said


async def test_an_own_project_is_meant_where_another_person_has_one_of_its_name(terminal: Terminal) -> None:
    wanted = name()
    _, stranger = await terminal.api.new_user()
    await terminal.api.new_project(stranger, name=wanted)
    await terminal.api.new_project(stranger, id=wanted, name=name())
    own = await terminal.api.new_project(terminal.api.admin, name=wanted)
    shown = await terminal.says("project", "show", wanted, "--json")
    assert (shown.code, shown.json["project"]["id"]) == (0, own), shown


async def test_a_project_is_handed_over_and_deleted(terminal: Terminal) -> None:
    wanted = name()
    await terminal.api.new_project(terminal.api.admin, name=wanted)
    heir_id, heir = await terminal.api.new_user()
    said = await terminal.says("project", "transfer", wanted, str(heir_id))
    assert (said.code, f"belongs to user {heir_id}" in said.out) == (0, True), said
    theirs = terminal.of(heir)
    for arguments in ((), ("--yes",), ("--confirm", wanted)):
        said = await theirs.says("project", "delete", wanted, *arguments)
        assert (said.code, "--confirm NAME" in said.err) == (2, True), said
    said = await theirs.says("project", "delete", wanted, "--yes", "--confirm", "another")
    assert (said.code, "Nothing was deleted" in said.err) == (2, True), said
    said = await theirs.says("project", "delete", wanted, "--yes", "--confirm", wanted)
    assert (said.code, "its name is free" in said.out) == (0, True), said
    assert "This stays" in said.out
    assert (await theirs.says("project", "show", wanted)).code == 3
    assert (await theirs.says("project", "create", wanted)).code == 0


async def revealed(api: Api, project: str, secret: str) -> str:
    reference = f"secret://projects/{project}/{secret}"
    reply = await api.http.post("/internal/secrets/reveal", json={"refs": [reference]}, headers=api.platform)
    return str(reply.json()["values"][reference])


@pytest.mark.parametrize(
    "content", [b"-----BEGIN KEY-----\nx\n-----END KEY-----\n", b"a\r\n", b"  b\n\n", b"\n", "п\N{KEY}\n".encode()]
)
async def test_a_file_is_stored_byte_for_byte(terminal: Terminal, tmp_path: Path, content: bytes) -> None:
    project = await terminal.api.new_project(terminal.api.admin)
    file = tmp_path / "value"
    file.write_bytes(content)
    said = await terminal.says("secret", "set", project, "TOKEN", "--value-file", str(file))
    assert said.code == 0, said
    assert (await revealed(terminal.api, project, "TOKEN")).encode() == content
    assert "ends with a line end" in said.out


async def test_setting_a_secret_says_what_to_do_for_it_to_apply(terminal: Terminal) -> None:
    api, wanted = terminal.api, name()
    project = await api.new_project(api.admin, name=wanted)
    said = await terminal.says("secret", "set", wanted, "TOKEN", stdin="v\n")
    assert "next deploy" in said.out
    assert "ends with a line end" not in said.out
    await online(api, project)
    said = await terminal.says("secret", "set", wanted, "TOKEN", stdin="w\n")
    assert f"orchestrator deploy start {wanted}" in said.out, said


async def test_a_generated_secret_is_shown_once_and_to_its_owner_only(terminal: Terminal) -> None:
    api = terminal.api
    _, owner = await api.new_user()
    theirs, project = terminal.of(owner), await api.new_project(owner)
    generate = f"/internal/projects/{project}/secrets/generate"
    await api.http.post(generate, json={"names": ["ADMIN_PASSWORD"]}, headers=api.platform)
    await api.http.put(f"/projects/{project}/secrets/TOKEN", json={"value": "typed"}, headers=owner)
    refused = await terminal.says("secret", "show", project, "ADMIN_PASSWORD")
    assert (refused.code, "owner" in refused.err) == (4, True), refused
    refused = await theirs.says("secret", "show", project, "TOKEN")
    assert (refused.code, "typed" in refused.out + refused.err.replace("was stored", "")) == (4, False), refused
    value = await revealed(api, project, "ADMIN_PASSWORD")
    shown = await asyncio.gather(*(theirs.says("secret", "show", project, "ADMIN_PASSWORD") for _ in range(2)))
    assert sorted(said.code for said in shown) == [0, 5], shown
    assert [value in said.out for said in shown].count(True) == 1
    again = await theirs.says("secret", "show", project, "ADMIN_PASSWORD")
    assert (again.code, f"secret set {project} ADMIN_PASSWORD" in again.err) == (5, True), again
    listed = (await api.http.get(f"/projects/{project}/secrets", headers=owner)).json()["items"]
    assert {item["name"]: item["shown_at"] is not None for item in listed} == {"ADMIN_PASSWORD": True, "TOKEN": False}


async def test_a_question_is_answered_by_the_number_of_a_choice(terminal: Terminal) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    task = await api.new_task(project)
    question = await api.new_question(task, project, choices=["approve", "stop"])
    shown = await terminal.says("question", "show", question)
    assert "1  approve" in shown.out
    assert (await terminal.says("answer", question, "2")).code == 0
    assert api.gateway.answers[-1][1].text == "stop"


async def test_services_are_stopped_although_a_deploy_waits_for_a_person(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    """The test plays the workflow: it stops nothing before the deploy that waits is taken back."""
    api = terminal.api
    project = await api.new_project(api.admin)
    await online(api, project)
    waiting = f"dep-{uuid4().hex[:12]}"
    workflow = {"kind": "deploy", "workflow_id": f"deploy/{await api.slug(project)}"}
    await api.project_task(waiting, project, seq=1, state="waiting", **workflow)
    api.gateway.withdrawn.clear()
    api.gateway.started.clear()

    async def play() -> None:
        """Each stop ends at once, but not while the deploy waits that it is queued behind."""
        await eventually(lambda: any(one.task_id == waiting for one in api.gateway.withdrawn), 20)
        await api.project_task(waiting, project, seq=2, state="cancelled", **workflow)
        ended = set[str]()
        while True:
            for one in api.gateway.started:
                if one.task_id not in ended:
                    ended.add(one.task_id)
                    await api.project_task(
                        one.task_id, one.project_id, seq=1, state="completed", kind="deploy", workflow_id="deploy/any"
                    )
            await asyncio.sleep(0.05)

    async with ApiClient(terminal.url, terminal.key, timeout_s=patience(10)) as client:
        playing = asyncio.create_task(play())
        stopped = await within(stop_all(client, Output(as_json=False)), 30)
        playing.cancel()
    shown = (await api.http.get(f"/projects/{project}", headers=api.admin)).json()["project"]
    assert shown["name"] in stopped
    assert f"{waiting} of {shown['name']} waited for a person and is cancelled" in capsys.readouterr().out


async def test_the_releases_that_can_be_returned_to_are_shown_and_a_refusal_names_the_other_way(
    terminal: Terminal,
) -> None:
    api = terminal.api
    project = await api.new_project(api.admin)
    old, before, live = (release(project, image="sha256:1") for _ in range(3))
    for body in (old, before, live):
        await api.http.put("/internal/releases", json={**body, "state": "pending"}, headers=api.platform)
        said = {**body, "state": "active", "still_built": [before["id"], live["id"]]}
        assert (await api.http.put("/internal/releases", json=said, headers=api.platform)).status_code == 200
    shown = await terminal.says("deploy", "status", project)
    ending = {line.split()[1]: line.split()[-1] for line in shown.out.splitlines()[1:4]}
    assert ending == {old["id"]: "old", before["id"]: "possible", live["id"]: live["commit"][:12]}, shown.out
    refused = await terminal.says("deploy", "rollback", project, "--release", old["id"])
    assert (refused.code, "RELEASE_NOT_KEPT" in refused.err) == (5, True), refused
    assert f"deploy start {project} --commit {old['commit']}" in refused.err
