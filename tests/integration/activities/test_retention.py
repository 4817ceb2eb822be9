"""What is kept on this machine: by the rules that `orchestrator doctor` shows, and nothing that is in use goes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.adapters.containers.retention import prune_records
from activities.adapters.packages import venv_cache
from activities.adapters.packages.venv_cache import ensure_venv, prune_venvs
from activities.adapters.process.retention import remove_homes
from activities.adapters.release import directory
from activities.adapters.release.retention import prune_releases
from activities.adapters.runs.supervisor import SupervisedCommand, Supervisor
from activities.adapters.runs.users import UnprivilegedUsers
from contracts.nouns import ArtifactFates
from runtime.embedded.ports import any_free
from runtime.settings import Settings
from tests.support.services.runtimes import REPOSITORY, Bench, working
from tests.support.services.sample_service import Recorder, SampleProject
from workers.housekeeping import Housekeeping

LONG_AGO = time.time() - 400 * 86_400


def age(path: Path) -> None:
    os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[SampleProject]:
    sample = SampleProject(tmp_path, any_free())
    yield sample
    await sample.clean_up()


async def deploy(project: SampleProject, commit: str, release_id: str, previous: str | None = None) -> None:
    request = await project.request(commit, release_id=release_id, previous=previous)
    outcome = await project.target.release(request, project.environment(request), Recorder().follow)
    assert outcome.ok, outcome.error


async def test_old_releases_go_and_are_built_again_when_somebody_rolls_back_to_one(project: SampleProject) -> None:
    commits = {f"rel-{number}": project.commit(f"v{number}") for number in (1, 2, 3)}
    before = None
    for release_id, commit in commits.items():
        await deploy(project, commit, release_id, before)
        before = release_id
    services = project.home / "services"
    with directory.locked(project.place.lock):
        assert await asyncio.to_thread(prune_releases, services, 2) == [], "it is being changed"
    assert prune_releases(services, 2) == [f"{project.place.slug}/rel-1"]
    assert prune_releases(services, 2) == []
    assert {path.name for path in project.place.release("rel-1").iterdir()} == {"served"}
    assert project.place.release("rel-2").joinpath("app", "backend.py").exists()
    assert len(await project.live()) == 1
    await deploy(project, commits["rel-1"], "rel-1", "rel-3")
    assert directory.current_release(project.place) == "rel-1"
    assert project.place.release("rel-1").joinpath("served").exists()
    assert prune_releases(services, 2) == [f"{project.place.slug}/rel-2"], "the one that serves now is the newest"


async def test_the_release_that_serves_stays_however_old_it_is(project: SampleProject) -> None:
    await deploy(project, project.commit("v1"), "rel-1")
    for number in range(2, 6):
        release = project.place.release(f"rel-{number}")
        release.mkdir()
        (release / "release.json").write_text("{}")
        (release / "served").touch()
    age(project.place.release("rel-1") / "served")
    pruned = prune_releases(project.home / "services", 2)
    assert len(pruned) == 3
    assert project.place.release("rel-1").joinpath("release.json").exists()


def test_environments_that_nobody_uses_go(tmp_path: Path) -> None:
    cache = tmp_path / "venvs"
    used, unused = (ensure_venv([], cache, python) for python in (sys.executable, "/usr/bin/python3"))
    for venv in (used, unused):
        age(venv / venv_cache.STAMP)
    assert prune_venvs(cache, LONG_AGO - 1, set()) == []
    assert prune_venvs(cache, time.time() - 60, {used}) == [unused.name]
    assert ensure_venv([], cache, sys.executable) == used
    assert prune_venvs(cache, time.time() - 60, set()) == [], "it has just been asked for"
    assert {path.name for path in cache.iterdir() if path.is_dir()} == {used.name}


async def test_records_of_ended_runs_go_and_running_ones_stay(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "runs")
    for name, argv in (
        ("test-old", ["true"]),
        ("test-new", ["true"]),
        ("turn-long", ["sleep", "60"]),
        ("svc-a", ["true"]),
    ):
        await supervisor.start(SupervisedCommand(name, argv, tmp_path, {"PATH": os.defpath}))
    try:
        for name in ("test-old", "test-new", "svc-a"):
            await supervisor.wait(name)
        for name in ("test-old", "turn-long", "svc-a"):
            age(tmp_path / "runs" / name / "status.json")
        assert supervisor.prune(time.time() - 60, lambda name: name.startswith("svc-")) == ["test-old"]
        assert supervisor.status("turn-long").state == "running"
        assert [supervisor.status(name).state for name in ("test-old", "test-new", "svc-a")] == [
            "absent", "exited", "exited",
        ]  # fmt: skip
    finally:
        await supervisor.stop("turn-long", grace_s=0.5)


def test_verdicts_and_locks_of_forgotten_containers_go(tmp_path: Path) -> None:
    for name in ("verifications/test-old.json", "verifications/test-new.json", "runs/turn-1.json",
                 "runs/.locks/turn-1.lock", "runs/.locks/turn-0.lock", "runs/.locks/turn-2.lock"):  # fmt: skip
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
        if not name.endswith(("new.json", "2.lock")):
            age(file)
    assert prune_records(tmp_path, time.time() - 60) == ["test-old.json", "turn-0.lock"]
    assert prune_records(tmp_path, time.time() - 60) == []


def test_the_home_of_an_agent_goes_when_its_workspace_is_gone(tmp_path: Path) -> None:
    homes, workspaces = tmp_path / "homes", tmp_path / "workspaces"
    for name in ("gone", "working", "fresh"):
        (homes / name / "tmp").mkdir(parents=True)
        age(homes / name)
    os.utime(homes / "fresh")
    (workspaces / "working").mkdir(parents=True)
    users = UnprivilegedUsers(tmp_path, machine=tmp_path / "machine")
    assert remove_homes(homes, workspaces, time.time() - 60, users) == ["gone"]
    assert {path.name for path in homes.iterdir()} == {"working", "fresh"}


async def test_branches_of_tasks_go_once_main_has_their_work(tmp_path: Path) -> None:
    async with working(tmp_path, "process") as bench:
        await _with_branches(bench)
        settings = Settings(home=tmp_path, keep_days=1)
        gone = await Housekeeping(settings, bench.forge, NoArtifacts()).tidy()
        assert gone["branches"] == [f"{REPOSITORY} task/merged"]
        left = await bench.forge.mirror(REPOSITORY)._git.text(
            "for-each-ref", "--format=%(refname:short)", "refs/heads/"
        )
        assert set(left.splitlines()) == {"main", "task/open", "task/recent", "other"}
        assert await Housekeeping(settings, bench.forge, NoArtifacts()).tidy() == {}


class NoArtifacts:
    async def artifact_fates(self, hashes: list[str]) -> ArtifactFates:
        raise AssertionError("there are none to ask about")


async def _with_branches(bench: Bench) -> None:
    """`merged` is a part of main and old; `open` is old and is not; `recent` is main as it is now."""
    bench.commit({"README.md": "x"})
    git = bench.forge.mirror(REPOSITORY)._git
    main = await git.commit_of("refs/heads/main")
    assert main is not None
    tree = await git.text("rev-parse", f"{main}^{{tree}}")
    then = {"GIT_AUTHOR_DATE": f"{int(LONG_AGO)} +0000", "GIT_COMMITTER_DATE": f"{int(LONG_AGO)} +0000"}
    old = (await git.run("commit-tree", "-m", "old", tree, env=then)).text
    aside = (await git.run("commit-tree", "-p", old, "-m", "not merged", tree, env=then)).text
    now = (await git.run("commit-tree", "-p", main, "-p", old, "-m", "merge", tree)).text
    branches = {"main": now, "task/merged": old, "task/open": aside, "task/recent": now, "other": old}
    for name, commit in branches.items():
        await git.run("update-ref", f"refs/heads/{name}", commit)
