"""People, what they come in with and the audit trail from a terminal."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from runtime import private_files
from tests.integration.cli.test_over_http import Terminal
from tests.support.api import bearer, running_api, served
from tests.support.commands import run_command


@pytest_asyncio.fixture(scope="module")
async def terminal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    async with running_api(tmp_path_factory.mktemp("api")) as api, served(api.app) as url:
        yield Terminal(api, url, "").of(api.admin)


def new_id() -> str:
    return str(uuid4().int % 2**40 + 2)


async def test_a_person_is_added_given_another_role_blocked_and_removed(terminal: Terminal) -> None:
    user_id = new_id()
    added = await terminal.says("user", "add", user_id, "--key-days", "30", "--json")
    key = bearer(json.loads(added.out)["api_key"])
    assert json.loads(added.out)["expires_at"]
    project_id = await terminal.api.new_project(key, name="bookshelf")
    for arguments, said in (
        (("role", user_id, "admin"), "active, and admin"),
        (("role", user_id, "member"), "active, and member"),
        (("block", user_id), "blocked"),
        (("unblock", user_id), "active"),
    ):
        done = await terminal.says("user", *arguments)
        assert (done.code, said in done.out) == (0, True), done
    unsure = await terminal.says("user", "remove", user_id)
    assert (unsure.code, "--yes" in unsure.err) == (2, True)
    asked = await terminal.says("user", "remove", user_id, "--yes")
    assert (asked.code, "bookshelf" in asked.err) == (5, True), asked
    gone = await terminal.says("user", "remove", user_id, "--yes", "--hand-over-to", "1", "--json")
    assert json.loads(gone.out)["projects"] == [project_id], gone
    assert user_id not in (await terminal.says("user", "list")).out
    last = await terminal.says("user", "role", "1", "member")
    assert (last.code, "only administrator" in last.err) == (5, True), last


async def test_what_somebody_comes_in_with_is_listed_and_ended(terminal: Terminal) -> None:
    user_id, mine = await terminal.api.new_user()
    own = terminal.of(mine)
    [key] = json.loads((await own.says("credential", "list", "--json")).out)["items"]
    assert key["kind"] == "key"
    assert key["id"] in (await terminal.says("credential", "list", "--user", str(user_id))).out
    ended = await terminal.says("credential", "end", key["id"])
    assert (ended.code, key["id"] in ended.out) == (0, True)
    refused = await own.says("project", "list")
    assert (refused.code, "orchestrator user key" in refused.err) == (4, True), refused


async def test_the_audit_trail_is_read_by_administrators(terminal: Terminal) -> None:
    user_id, mine = await terminal.api.new_user()
    project_id = await terminal.api.new_project(mine)
    listed = await terminal.says("audit", "list", "--user", str(user_id), "--action", "project", "--json")
    [entry] = json.loads(listed.out)["items"]
    assert (entry["action"], entry["target"], entry["result"]) == ("project.create", project_id, "done")
    told = await terminal.says("audit", "list", "--action", "project", "--target", project_id)
    assert (told.code, "project.create" in told.out) == (0, True)
    assert (await terminal.of(mine).says("audit", "list")).code == 4


async def test_the_administrator_of_this_machine_replaces_their_key_and_goes_on(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, served(api.app) as url:
        home = api.settings.home
        env = {"ORCHESTRATOR_HOME": str(home), "ORCHESTRATOR_API_PORT": url.rpartition(":")[2], "COLUMNS": "200"}
        former = private_files.read(home / "keys" / "admin.key")
        said = await run_command("user", "key", "1", env=env)
        assert (said.code, "admin.key" in said.out) == (0, True), said
        assert private_files.read(home / "keys" / "admin.key") != former
        assert (await run_command("user", "list", env=env)).code == 0
        assert (await api.http.get("/whoami", headers=bearer(former.strip()))).status_code == 401
