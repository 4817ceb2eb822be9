"""Servers from a terminal."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.integration.api.servers.test_registry import new_key
from tests.integration.cli.test_over_http import Terminal
from tests.support.api import running_api, served


@pytest_asyncio.fixture(scope="module")
async def terminal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    async with running_api(tmp_path_factory.mktemp("api")) as api, served(api.app) as url:
        yield Terminal(api, url, "").of(api.admin)


def new_handle() -> str:
    return f"s-{uuid4().hex[:8]}"


async def test_a_server_is_added_listed_shown_reserved_and_released(terminal: Terminal) -> None:
    handle = new_handle()
    added = await terminal.says("server", "add", handle, "203.0.113.20", "--provider", "time4vps", "--machine", "1001")
    assert (added.code, "pending_setup" in added.out) == (0, True), added
    assert "first contact" in added.out
    listed = await terminal.says("server", "list", "--json")
    [mine] = [one for one in json.loads(listed.out)["items"] if one["handle"] == handle]
    assert (mine["provider"], mine["machine_id"], mine["managed"]) == ("time4vps", "1001", False)
    for verb, said in (("manage", "managed"), ("reserve", "reserved"), ("release", "pending_setup")):
        done = await terminal.says("server", verb, handle)
        assert (done.code, said in done.out) == (0, True), done
    shown = await terminal.says("server", "show", handle)
    assert (shown.code, "not known yet" in shown.out, "the platform may set it up" in shown.out) == (0, True, True)


async def test_a_host_key_is_shown_as_people_compare_it(terminal: Terminal, tmp_path: Path) -> None:
    handle, file = new_handle(), tmp_path / "key.pub"
    file.write_text(f"{new_key()} root@machine\n")
    await terminal.says("server", "add", handle, "203.0.113.21")
    given = await terminal.says("server", "host-key", handle, str(file))
    assert (given.code, "ssh-ed25519 SHA256:" in given.out) == (0, True), given
    assert "by an administrator" in (await terminal.says("server", "show", handle)).out


async def test_a_credential_is_stored_and_its_value_shown_nowhere(terminal: Terminal, tmp_path: Path) -> None:
    handle, file, value = new_handle(), tmp_path / "password", f"hunter2-{uuid4().hex}"
    file.write_text(value)
    await terminal.says("server", "add", handle, "203.0.113.22")
    stored = await terminal.says("server", "credential", handle, "--value-file", str(file))
    shown = await terminal.says("server", "show", handle)
    assert (stored.code, "ROOT_PASSWORD" in shown.out) == (0, True), (stored, shown)
    assert value not in stored.out + stored.err + shown.out


async def test_a_member_sees_the_server_of_their_project_and_decides_nothing(terminal: Terminal) -> None:
    _, key = await terminal.api.new_user()
    project = await terminal.api.new_project(key)
    body = {"project_id": project, "services": ["backend"], "server_handle": "local"}
    await terminal.api.http.post("/internal/ports", json=body, headers=terminal.api.platform)
    member = terminal.of(key)
    shown = await member.says("server", "show", "local")
    assert (shown.code, project in shown.out, "Credentials" in shown.out) == (0, True, False), shown
    for arguments in (("reserve", "local"), ("manage", "local"), ("plan", "local", "remove")):
        refused = await member.says("server", *arguments)
        assert (refused.code != 0, "admin" in refused.err) == (True, True), refused


async def test_an_unreadable_key_and_a_bad_address_are_refused_with_a_sentence(terminal: Terminal) -> None:
    missing = await terminal.says("server", "add", new_handle(), "203.0.113.23", "--host-key-file", "/nowhere")
    bad = await terminal.says("server", "add", new_handle(), "--", "-oProxyCommand=id")
    assert (missing.code, "cannot be read" in missing.err) == (2, True), missing
    assert (bad.code != 0, "plain name or address" in bad.err) == (True, True), bad


async def test_a_server_is_removed_by_a_plan_that_was_approved(terminal: Terminal) -> None:
    handle = new_handle()
    await terminal.says("server", "add", handle, "203.0.113.24", "--managed")
    planned = await terminal.says("server", "plan", handle, "remove")
    assert (planned.code, "forgets" in planned.out) == (0, True), planned
    approval = json.loads((await terminal.says("server", "approvals", handle, "--json")).out)["items"][0]["id"]
    early = await terminal.says("server", "remove", handle, approval)
    assert (early.code != 0, "Nobody has approved" in early.err) == (True, True), early
    unsure = await terminal.says("server", "approve", handle, approval)
    assert (unsure.code, "--yes" in unsure.err) == (2, True), unsure
    sure = await terminal.says("server", "approve", handle, approval, "--yes")
    assert (sure.code, "Approved until" in sure.out) == (0, True), sure
    gone = await terminal.says("server", "remove", handle, approval)
    assert (gone.code, "as it was" in gone.out) == (0, True), gone
    assert handle not in (await terminal.says("server", "list")).out


async def test_a_container_of_this_machine_needs_no_address_and_every_other_machine_does(terminal: Terminal) -> None:
    handle = new_handle()
    local = await terminal.says("server", "add", handle, "--provider", "local", "--json")
    assert (local.json["kind"], local.json["status"], local.json["managed"]) == ("container", "ready", True), local
    without = await terminal.says("server", "add", new_handle())
    assert (without.code, "ADDRESS" in without.err) == (2, True), without
    await terminal.says("server", "reserve", handle)


async def test_a_refused_plan_stays_refused(terminal: Terminal) -> None:
    handle = new_handle()
    await terminal.says("server", "add", handle, "203.0.113.25", "--managed")
    approval = (await terminal.says("server", "plan", handle, "remove", "--json")).json["id"]
    assert "Refused" in (await terminal.says("server", "refuse", handle, approval)).out
    late = await terminal.says("server", "approve", handle, approval, "--yes")
    assert (late.code != 0, "decided already" in late.err) == (True, True), late


async def test_a_machine_of_your_own_is_not_reinstalled_and_the_reason_is_said(terminal: Terminal) -> None:
    handle = new_handle()
    await terminal.says("server", "add", handle, "203.0.113.26", "--managed")
    refused = await terminal.says("server", "plan", handle, "reinstall")
    assert (refused.code != 0, "do that yourself" in refused.err) == (True, True), refused
