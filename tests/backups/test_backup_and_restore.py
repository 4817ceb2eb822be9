"""A platform is backed up while it works, lost, and there again in another place: everything is, and goes on."""

import os
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from contracts.names import WorkflowName
from runtime.backups import states
from tests.backups.moves import Moved, add_book, backup_settings, restored, running, titles
from tests.support.eventually import eventually
from tests.support.outside import answer
from tests.support.people.story import ENTITY
from tests.support.stack import Stack, running_stack

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed: make restic"),
]

SECRET = "PAYMENT_KEY"
VALUE = f"s3cret-{secrets.token_hex(8)}"


@pytest.fixture(scope="module")
async def moved() -> AsyncIterator[Moved]:
    with TemporaryDirectory(prefix="backups-") as directory:
        root = Path(directory)
        chosen = {"ORCHESTRATOR_RUNTIME": "process", **backup_settings(root)}
        async with running_stack(root / "before" / "home", **chosen) as before:
            seen = await _backed_up(before)
        after, seen["restored"] = await restored(before, root / "after" / "home")
        shutil.rmtree(before.home)
        async with running(after):
            yield Moved(before, after, root / "repository", seen)


async def _backed_up(stack: Stack) -> dict[str, Any]:
    """A live project with data and a secret, a question and a run that works; then a backup."""
    live = await stack.new_project("library")
    await stack.ok("secret", "set", live, SECRET, stdin=VALUE)
    delivery = await stack.ok("delivery", "start", "-p", live, f"{ENTITY} [agent:needs-secret={SECRET}]")
    task = await stack.finished(delivery["task_id"])
    assert task["state"] == "completed", task
    url = task["result"]["deployed_url"]
    await add_book(url, "Before")
    asking = await stack.new_project("asking")
    asked_by = (await stack.ok("engineering", "start", "-p", asking, f"{ENTITY} [agent:ask]"))["task_id"]
    question = await stack.question(asking)
    working = await stack.new_project("working")
    works = (await stack.ok("engineering", "start", "-p", working, f"{ENTITY} [agent:slow-tests=30]"))["task_id"]
    await stack.at_stage(works, "testing")
    made = await stack.ok("backup", "now", timeout=300)
    verified = await stack.ok("backup", "verify", timeout=300)
    await add_book(url, "After the backup")
    return {
        "live": live, "url": url, "status": await answer(url, "/secret-status"),
        "asking": asking, "asked by": asked_by, "question": question, "working": working, "works": works,
        "backup": made["backup"], "manifest": verified["manifest"], "listed": await stack.ok("backup", "list"),
        "state": await stack.task(works),
    }  # fmt: skip


async def test_the_manifest_says_what_is_there(moved: Moved) -> None:
    manifest = moved.seen["manifest"]
    assert manifest["tables"]["projects"] == 3
    assert manifest["temporal"]["executions"] > 3
    assert set(manifest["repositories"]) == {"u1/library.git", "u1/asking.git", "u1/working.git"}
    assert "vault.json" in manifest["keys"]
    assert manifest["left_out"] == []
    assert [one["id"] for one in moved.seen["listed"]["items"]] == [moved.seen["backup"]["id"]]


async def test_the_service_answers_where_it_was_with_the_data_of_the_backup(moved: Moved) -> None:
    assert await titles(moved.seen["url"]) == ["Before"]
    assert await answer(moved.seen["url"], "/secret-status") == moved.seen["status"]


async def test_an_open_question_is_answered_there_and_its_run_ends(moved: Moved) -> None:
    question = await moved.after.question(moved.seen["asking"])
    assert question["id"] == moved.seen["question"]["id"]
    await moved.after.ok("answer", question["id"], "Books with a title, please")
    assert (await moved.after.finished(moved.seen["asked by"]))["state"] == "completed"


async def test_a_run_that_worked_goes_on_and_ends(moved: Moved) -> None:
    assert moved.seen["state"]["state"] == "running"
    assert (await moved.after.finished(moved.seen["works"]))["state"] == "completed"


async def test_a_secret_is_there_for_the_next_deploy(moved: Moved) -> None:
    stored = await moved.after.ok("secret", "list", moved.seen["live"])
    assert SECRET in str(stored)
    deploy = await moved.after.ok("deploy", "start", moved.seen["live"])
    assert (await moved.after.finished(deploy["task_id"]))["state"] == "completed"
    assert await answer(moved.seen["url"], "/secret-status") == moved.seen["status"]


async def test_it_is_well_without_the_home_before(moved: Moved) -> None:
    assert not moved.before.home.exists()
    assert (await moved.after.ok("status"))["well"]


async def test_its_schedule_makes_a_backup_and_proves_that_it_can_be_restored(moved: Moved) -> None:
    client = await moved.after.client()
    await client.get_schedule_handle(WorkflowName.BACKUP).trigger()

    async def verified() -> bool:
        return bool(states.state_of(moved.after.settings).verified_at)

    await eventually(verified, 240, interval=1, message="a scheduled backup that was restored for comparison")
    listed = (await moved.after.ok("backup", "list"))["items"]
    assert len(listed) == 2, "that of the home before is kept"
    state = states.state_of(moved.after.settings)
    assert state.last is not None
    assert (listed[-1]["id"], state.verified, state.trouble) == (state.last.id, state.last.id, None)
    [finding] = [one for one in (await _doctor(moved.after)) if one["part"] == "backups"]
    assert finding["verdict"] == "ok", finding


async def _doctor(stack: Stack) -> list[dict[str, Any]]:
    """Its findings, whether or not this machine has everything."""
    said = await stack.cli("doctor", "--json")
    return list(said.json["findings"])


async def test_nothing_is_restored_over_something(moved: Moved) -> None:
    said = await moved.after.cli("backup", "restore", str(moved.after.home), "--json")
    assert (said.code, said.json["error"]["code"]) == (5, "CONFLICT")


async def test_a_damaged_backup_is_refused(moved: Moved) -> None:
    with TemporaryDirectory(prefix="damaged-") as directory:
        copy = Path(directory) / "repository"
        shutil.copytree(moved.repository, copy)
        largest = max((copy / "data").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
        largest.chmod(0o600)
        with largest.open("r+b") as file:
            file.seek(largest.stat().st_size // 2)
            file.write(os.urandom(64))
        env = {"ORCHESTRATOR_BACKUP_REPOSITORY": str(copy)}
        into = Path(directory) / "home"
        restored = await moved.after.cli("backup", "restore", str(into), "--json", env=env, timeout=300)
        assert (restored.code, restored.json["error"]["code"]) == (1, "BACKUP_DAMAGED")
        assert not into.exists()
        assert not into.with_name(".home.restoring").exists()


async def test_another_password_opens_nothing(moved: Moved, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("incorrect horse")
    env = {"ORCHESTRATOR_BACKUP_PASSWORD_FILE": str(wrong)}
    said = await moved.after.cli("backup", "list", "--json", env=env)
    assert (said.code, said.json["error"]["code"]) == (1, "BACKUP_REFUSED")
