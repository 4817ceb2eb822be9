"""Releases, judged by the URL, the release directories and the manifest of what runs."""

import pytest

from tests.support.outside import processes_of
from tests.support.people.story import Story

pytestmark = pytest.mark.timeout(900)


@pytest.mark.story("releases")
async def test_a_broken_release_leaves_the_previous_one_serving(story: Story) -> None:
    first = story.seen["first"]
    health, status, current = story.seen["after broken"]
    assert health["release"] == current["release_id"] == first["release_id"]
    assert current["commit"] == first["commit_sha"]
    assert status == "active"
    assert story.seen["broken"]["error_code"] == "PROBE_FAILED"
    assert "/health answered 500" in story.seen["broken"]["error"]
    assert "previous release is still running" in story.seen["broken deploy"]["error"]


@pytest.mark.story("releases")
async def test_a_failed_release_has_its_logs_attached(story: Story) -> None:
    logs = story.seen["broken logs"]
    assert logs.code == 0
    assert "Start a candidate and check its health" in logs.out
    assert story.seen["broken deploy"]["artifacts"]
    assert await processes_of(story.stack, story.seen["broken release"]) == []


@pytest.mark.story("releases")
async def test_a_project_that_is_live_stays_active_when_a_later_task_fails(story: Story) -> None:
    health, status = story.seen["after stopped by a person"]
    assert story.seen["stopped by a person"]["state"] == "failed"
    assert (health["release"], status) == (story.seen["first"]["release_id"], "active")


@pytest.mark.story("releases")
async def test_a_rollback_returns_to_the_exact_earlier_commit(story: Story) -> None:
    before, manifest = story.seen["live before rollback"]
    assert before["release"] == story.seen["second live"]["release_id"]
    assert manifest["commit"] == story.seen["second"]
    after, status, current = story.seen["after rollback"]
    assert after["release"] == story.seen["first"]["release_id"]
    assert current["commit"] == story.seen["first"]["commit_sha"] == story.seen["rolled back"]["commit_sha"]
    assert status == "active"


@pytest.mark.story("releases")
async def test_stop_restart_and_remove_do_what_they_say(story: Story) -> None:
    assert story.seen["after stop"] == {"error": "ConnectError"}
    assert story.seen["after restart"]["release"] == story.seen["first"]["release_id"]
    health, directories = story.seen["after remove"]
    assert health == {"error": "ConnectError"}
    assert directories == []
    assert len(await story.outside.commits()) > 1, "the repository stays"
    assert story.seen["rollback of nothing"].code == 5, "refused before anything starts"
    assert "NOTHING_TO_ROLL_BACK" in story.seen["rollback of nothing"].out


@pytest.mark.story("broken-first-release")
async def test_a_first_release_that_crashes_serves_nothing_and_says_why(story: Story) -> None:
    assert "told to crash at the start" in story.seen["task"]["error"]
    assert story.seen["deploy"]["error_code"] == "PROBE_FAILED"
    assert "told to crash at the start" in story.seen["logs"].out
    assert story.seen["status"] == "failed"
    assert await story.outside.current() == {}
    assert await processes_of(story.stack, story.seen["release"]) == []


@pytest.mark.story("two-at-once")
async def test_two_equal_concurrent_starts_are_one_release_and_a_newer_commit_is_not_lost(story: Story) -> None:
    one, other = story.seen["equal"]
    assert one["task_id"] == other["task_id"]
    assert sorted([one["joined"], other["joined"]]) == [False, True]
    assert story.seen["later"]["task_id"] != one["task_id"]
    first, _, later = (task["result"] for task in story.seen["done"])
    assert (first["commit_sha"], later["commit_sha"]) == (story.seen["older"], story.seen["newer"])
    assert await story.outside.releases() == sorted([first["release_id"], later["release_id"]])
    assert story.seen["health"]["release"] == later["release_id"]
    assert (await story.outside.current())["commit"] == story.seen["newer"]
    running = [line for line in await processes_of(story.stack, f"svc-{story.name}") if "services.backend" in line]
    assert len(running) == 1, "the earlier release has stopped"


@pytest.mark.deep
@pytest.mark.story("watched")
async def test_a_release_that_ends_while_it_is_watched_leaves_the_previous_one_serving(story: Story) -> None:
    assert "error" in story.seen["asked to end"]
    assert story.seen["ended"]["error_code"] == "PROBE_FAILED"
    assert "started again" in story.seen["ended"]["error"]
    health, status, current = story.seen["after its end"]
    assert (health["release"], current["release_id"]) == (story.seen["first"]["release_id"],) * 2
    assert status == "active"


@pytest.mark.deep
@pytest.mark.story("watched")
async def test_a_cancel_while_a_release_is_watched_leaves_the_previous_one_serving(story: Story) -> None:
    assert story.seen["cancelled"].task["state"] == "cancelled"
    assert story.seen["cancelled"].left == []
    health, _, current = story.seen["after cancel"]
    assert (health["release"], current["release_id"]) == (story.seen["first"]["release_id"],) * 2


@pytest.mark.deep
@pytest.mark.story("watched")
async def test_a_watch_that_nothing_happens_in_is_told_before_the_release_is_live(story: Story) -> None:
    told = story.seen["told"]
    watching = next(at for at, text in enumerate(told) if f"{story.seen['url']} answers; watching it" in text)
    assert "Live at" in told[-1]
    assert watching < len(told) - 1
    assert story.seen["second live"]["commit_sha"] == story.seen["second"]
    assert story.seen["after rollback"]["release"] == story.seen["first"]["release_id"]


@pytest.mark.deep
@pytest.mark.story("maintenance")
async def test_what_looks_after_releases_goes_on_as_a_new_run_and_housekeeping_ends(story: Story) -> None:
    seen = story.seen
    assert (seen["first"], seen["second"]) == ("CONTINUED_AS_NEW", "CANCELED")
    assert seen["housekeeping"] == "COMPLETED"
