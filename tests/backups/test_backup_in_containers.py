"""A platform that works in containers is lost with them, and there again: data of services, and a question's run."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from activities.adapters.containers import command as docker
from activities.adapters.playbooks.by_server import CONTAINER_SERVER
from activities.adapters.servers.container import LocalServers
from contracts import ids
from tests.backups.moves import Moved, add_book, backup_settings, restored, running, titles
from tests.support.people.story import ENTITY
from tests.support.services.container_service import no_engine
from tests.support.stack import running_stack

pytestmark = [
    pytest.mark.deep,
    pytest.mark.containers,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed: make restic"),
    pytest.mark.skipif(no_engine() is not None, reason=str(no_engine())),
]


@pytest.fixture(scope="module")
async def moved() -> AsyncIterator[Moved]:
    with TemporaryDirectory(prefix="backups-") as directory:
        root = Path(directory)
        chosen = backup_settings(root)
        async with AsyncExitStack() as cleanup:
            async with running_stack(root / "before" / "home", **chosen) as before:
                live = await before.new_project("library")
                task = await before.finished((await before.ok("delivery", "start", "-p", live, ENTITY))["task_id"])
                assert task["state"] == "completed", task
                await add_book(task["result"]["deployed_url"], "Before")
                asking = await before.new_project("asking")
                started = await before.ok("engineering", "start", "-p", asking, f"{ENTITY} [agent:ask]")
                question = await before.question(asking)
                made = await before.ok("backup", "now", timeout=300)
                verified = await before.ok("backup", "verify", timeout=300)
                await add_book(task["result"]["deployed_url"], "After the backup")
            # Its server went with it, and now what its agents had.
            worker = ids.worker_id_for_task(started["task_id"])
            await docker.try_run("rm", "--force", f"workspace-{worker}")
            await docker.run("volume", "rm", "--force", f"workspace-{worker}", f"home-{worker}")
            after, said = await restored(before, root / "after" / "home")
            shutil.rmtree(before.home)
            cleanup.push_async_callback(LocalServers(after.home).remove, CONTAINER_SERVER)
            async with running(after):
                seen = {
                    "live": live, "asking": asking, "question": question["id"], "task": started["task_id"],
                    "backup": made["backup"], "manifest": verified["manifest"], "said": said,
                }  # fmt: skip
                yield Moved(before, after, root / "repository", seen)


async def test_data_of_services_is_in_it_and_what_is_not_is_named(moved: Moved) -> None:
    assert list(moved.seen["manifest"]["servers"]) == [CONTAINER_SERVER]
    assert moved.seen["manifest"]["left_out"] == ["what agents have not committed, which is in Docker volumes"]


async def test_services_are_deployed_again_at_their_commits_with_their_data(moved: Moved) -> None:
    [started] = (await moved.after.ok("backup", "redeploy"))["started"]
    assert started["project"] == "library"
    task = await moved.after.finished(started["task_id"])
    assert task["state"] == "completed", task
    assert await titles(task["result"]["deployed_url"]) == ["Before"]


async def test_the_run_of_an_open_question_goes_on_without_its_workspace(moved: Moved) -> None:
    assert (await moved.after.question(moved.seen["asking"]))["id"] == moved.seen["question"]
    await moved.after.ok("answer", moved.seen["question"], "Books with a title, please")
    task = await moved.after.finished(moved.seen["task"])
    assert task["state"] == "completed", task
