"""What a project has promised, and the pictures of a result, from a terminal."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from runtime.artifacts import DirectoryArtifactStore
from tests.integration.api.projects.test_checks import proposal
from tests.integration.cli.test_over_http import Terminal
from tests.support.api import milestone, running_api, served

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 10


@pytest_asyncio.fixture(scope="module")
async def terminal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    async with running_api(tmp_path_factory.mktemp("api")) as api, served(api.app) as url:
        yield Terminal(api, url, "").of(api.admin)


async def test_a_promise_is_listed_and_dropped(terminal: Terminal) -> None:
    api = terminal.api
    project_id = await api.new_project(api.admin)
    proposed = f"/internal/projects/{project_id}/checks/proposed/t1"
    body = proposal("title").model_dump(mode="json", by_alias=True)
    assert (await api.http.put(proposed, json=body, headers=api.platform)).status_code == 200
    kept = await api.http.post(f"{proposed}/keep", json={"met": ["c-title"]}, headers=api.platform)
    assert (kept.status_code, kept.json()) == (200, {"not_kept": []}), kept.text
    listed = await terminal.says("project", "checks", "list", project_id, "--json")
    assert [(one["id"], one["kinds"]) for one in listed.json["items"]] == [("title", ["http"])]
    dropped = await terminal.says("project", "checks", "drop", project_id, "title")
    assert (dropped.code, "is not checked any more" in dropped.out) == (0, True), dropped
    assert "Nothing is checked yet" in (await terminal.says("project", "checks", "list", project_id)).out
    assert "dropped" in (await terminal.says("project", "checks", "list", project_id, "--all")).out
    told = await terminal.says("audit", "list", "--action", "check", "--target", project_id)
    assert "check.drop" in told.out, told


async def test_screenshots_are_saved_and_their_paths_printed(terminal: Terminal, tmp_path: Path) -> None:
    api = terminal.api
    project_id = await api.new_project(api.admin)
    picture = await DirectoryArtifactStore(api.settings.artifacts_dir).put("books.png", PNG, "image/png")
    task_id = await api.new_task(
        project_id,
        state="completed",
        milestone=milestone("done", "completed"),
        result={"screenshot_1": picture.uri},
        artifacts=[picture.model_dump(mode="json")],
    )
    saved = await terminal.says("task", "screenshots", task_id, "--to", str(tmp_path))
    assert (saved.code, Path(saved.out.strip()).read_bytes()) == (0, PNG), saved
    assert "orchestrator task screenshots" in (await terminal.says("task", "logs", task_id)).out
    without = await terminal.says("task", "screenshots", await api.new_task(project_id))
    assert "has no screenshots" in without.err, without
    _, stranger = await api.new_user()
    sha256 = picture.sha256
    assert (await api.http.get(f"/pictures/{sha256}/books.png", headers=stranger)).status_code == 404
