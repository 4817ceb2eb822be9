"""What an agent may do to its repository: the platform never waits for it, and the next turn can go on.

With processes; `test_workspace_contract.py` damages repositories in containers, too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from activities.adapters.forge.git import Git
from contracts.errors import ErrorCode, OrchestratorError
from tests.support.eventually import eventually
from tests.support.patience import patience
from tests.support.services.runtimes import BRANCH, REPOSITORY, Bench, git, working

MAX_PAYLOAD = 256 * 1024


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with working(tmp_path, "process") as one:
        yield one


@pytest.fixture
async def work(bench: Bench) -> Path:
    """The agent's clone, with a commit of its own."""
    await bench.prepare()
    work = bench.root / "workspaces" / bench.worker
    commit(work, "mine.txt")
    return work


def commit(work: Path, name: str) -> str:
    (work / name).write_text(name)
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", name)
    return git(work, "rev-parse", "HEAD")


def deep(folder: Path, levels: int) -> None:
    """Deeper than Python's own functions go down."""
    here = os.getcwd()
    os.chdir(folder)
    try:
        for _ in range(levels):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)


def fifo(work: Path) -> None:
    (work / ".git" / "packed-refs").unlink(missing_ok=True)
    os.mkfifo(work / ".git" / "packed-refs")


def fifo_in_place_of_the_head(work: Path) -> None:
    (work / ".git" / "HEAD").unlink()
    os.mkfifo(work / ".git" / "HEAD")


def unix_socket(work: Path) -> None:
    here = os.getcwd()
    os.chdir(work / ".git" / "objects")
    try:
        socket.socket(socket.AF_UNIX).bind("socket")
    finally:
        os.chdir(here)


def device(work: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    os.mknod(work / ".git" / "objects" / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))


def dangling_link(work: Path) -> None:
    (work / ".git" / "refs" / "heads" / "x").symlink_to("/nowhere")


def missing_object(work: Path) -> None:
    for blob in (work / ".git" / "objects").glob("??/*"):
        if git(work, "cat-file", "-t", blob.parent.name + blob.name) == "blob":
            blob.unlink()


def broken_object(work: Path) -> None:
    for one in (work / ".git" / "objects").glob("??/*"):
        one.chmod(0o600)
        one.write_bytes(b"\0\0NUL\0in an object\0")


def include_of_a_pipe(work: Path) -> None:
    os.mkfifo(work / "pipe")
    with (work / ".git" / "config").open("a") as config:
        config.write(f"[include]\n\tpath = {work}/pipe\n")


def include_of_a_device(work: Path) -> None:
    with (work / ".git" / "config").open("a") as config:
        config.write('[ includeIf "gitdir:/"]\n\tpath = /dev/zero\n')


def include_of_a_pipe_in_the_work_trees_own_config(work: Path) -> None:
    os.mkfifo(work / "pipe")
    git(work, "config", "extensions.worktreeConfig", "true")
    (work / ".git" / "config.worktree").write_text(f"[include]\n\tpath = {work}/pipe\n")


def include_behind_a_megabyte(work: Path) -> None:
    os.mkfifo(work / "pipe")
    with (work / ".git" / "config").open("a") as config:
        config.write("# nothing\n" * 110_000 + f"[include]\n\tpath = {work}/pipe\n")


def only_known_commits_without_their_objects(work: Path) -> None:
    """The forge has the head, so a fetch takes nothing and notices nothing."""
    git(work, "reset", "--quiet", "--soft", "HEAD~1")
    for one in (work / ".git" / "objects").glob("??"):
        shutil.rmtree(one)


def only_known_commits_without_a_file(work: Path) -> None:
    git(work, "reset", "--quiet", "--soft", "HEAD~1")
    missing_object(work)


def directories_without_end(work: Path) -> None:
    deep(work / ".git" / "objects", 1_500)


def config_that_is_none(work: Path) -> None:
    (work / ".git" / "config").write_bytes("[core]".encode("utf-16"))


def gone(work: Path) -> None:
    os.rename(work / ".git", work.parent / f"{work.name}-git")


def link_elsewhere(work: Path) -> None:
    gone(work)
    (work / ".git").symlink_to("/tmp")


def file_that_points_elsewhere(work: Path) -> None:
    gone(work)
    (work / ".git").write_text("gitdir: /tmp\n")


DAMAGES = [fifo, fifo_in_place_of_the_head, unix_socket, device, dangling_link, missing_object, broken_object,
           include_of_a_pipe, include_of_a_device, include_of_a_pipe_in_the_work_trees_own_config,
           include_behind_a_megabyte, only_known_commits_without_their_objects, only_known_commits_without_a_file,
           directories_without_end, config_that_is_none, gone, link_elsewhere, file_that_points_elsewhere]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
async def test_a_damaged_repository_is_refused_soon_and_set_up_anew(
    bench: Bench, work: Path, damage: Callable[[Path], None]
) -> None:
    base = git(bench.forge.mirror(REPOSITORY).directory, "rev-parse", "main")
    damage(work)
    async with asyncio.timeout(patience(20)):
        with pytest.raises(OrchestratorError) as refused:
            await bench.runtime.workspaces().push(bench.pushing(base))
    assert refused.value.code is ErrorCode.REPOSITORY_UNREADABLE
    assert "\0" not in refused.value.message + str(refused.value.details)
    assert (work / "mine.txt").read_text() == "mine.txt"
    git(work, "remote")
    head = commit(work, "again.txt")
    pushed = await bench.runtime.workspaces().push(bench.pushing(base))
    assert (pushed.commit, pushed.files_changed[:2]) == (head, ["again.txt", "mine.txt"])


async def test_what_was_taken_before_is_where_the_new_repository_begins(bench: Bench, work: Path) -> None:
    base = git(bench.forge.mirror(REPOSITORY).directory, "rev-parse", "main")
    taken = (await bench.runtime.workspaces().push(bench.pushing(base))).commit
    gone(work)
    with pytest.raises(OrchestratorError):
        await bench.runtime.workspaces().push(bench.pushing(base))
    assert git(work, "rev-parse", "HEAD") == taken
    assert git(work, "branch", "--show-current") == BRANCH


def amended_the_given_commit(work: Path) -> None:
    git(work, "commit", "--quiet", "--amend", "--message", "Mine")


def another_root(work: Path) -> None:
    git(work, "checkout", "--quiet", "--orphan", "other")


def began_anew(work: Path) -> None:
    """Not even the given commit is there, so the agent cannot go back to it."""
    shutil.rmtree(work / ".git")
    git(work, "init", "--quiet")


@pytest.mark.parametrize("history", [amended_the_given_commit, another_root, began_anew], ids=lambda one: one.__name__)
async def test_a_history_without_the_given_commit_is_refused_and_the_next_commit_is_taken(
    bench: Bench, work: Path, history: Callable[[Path], None]
) -> None:
    base = git(bench.forge.mirror(REPOSITORY).directory, "rev-parse", "main")
    git(work, "reset", "--quiet", "--soft", base)
    history(work)
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--allow-empty", "--message", "Work")
    with pytest.raises(OrchestratorError) as refused:
        await bench.runtime.workspaces().push(bench.pushing(base))
    assert refused.value.code is ErrorCode.REPOSITORY_DIVERGED
    assert base in refused.value.message
    assert (work / "mine.txt").read_text() == "mine.txt"
    head = commit(work, "more.txt")
    pushed = await bench.runtime.workspaces().push(bench.pushing(base))
    assert (pushed.commit, pushed.files_changed) == (head, ["mine.txt", "more.txt"])


async def test_a_file_below_hundreds_of_directories_is_not_taken(bench: Bench, work: Path) -> None:
    base = git(bench.forge.mirror(REPOSITORY).directory, "rev-parse", "main")
    (work / "/".join(["d"] * 300)).mkdir(parents=True)
    commit(work, "/".join([*["d"] * 300, "file"]))
    with pytest.raises(OrchestratorError, match="nested more than 100 directories") as refused:
        await bench.runtime.workspaces().push(bench.pushing(base))
    assert refused.value.code is ErrorCode.REPOSITORY_UNREADABLE
    shutil.rmtree(work / "d")
    head = commit(work, "more.txt")
    assert (await bench.runtime.workspaces().push(bench.pushing(base))).commit == head


async def test_a_workspace_of_any_depth_is_removed(bench: Bench, work: Path) -> None:
    deep(work, 1_500)
    await bench.runtime.workspaces().remove(bench.worker)
    assert bench.runtime.left_of(bench.worker) == []


async def test_a_thousand_long_paths_are_listed_as_far_as_a_message_holds_them(bench: Bench, work: Path) -> None:
    base = git(bench.forge.mirror(REPOSITORY).directory, "rev-parse", "main")
    for number in range(1_000):
        folder = work / f"{number:04}" / "/".join(["x" * 200] * 9)
        folder.mkdir(parents=True)
        (folder / "file\nwith a line").touch()
    commit(work, "last.txt")
    pushed = await bench.runtime.workspaces().push(bench.pushing(base))
    assert 0 < len(pushed.files_changed) < 1_000
    assert len(pushed.model_dump_json()) < MAX_PAYLOAD / 4


# Git and its children ----------------------------------------------------------------------------------------------


def helpers(mark: str) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if mark in " ".join(one.info["cmdline"] or [])]


async def test_a_cancelled_git_leaves_no_child(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    mark = f"61{os.getpid()}"
    script = f"!sleep {mark} & sleep {mark}; true"
    running = asyncio.ensure_future(Git(tmp_path).run("-c", f"alias.slow={script}", "slow"))
    await eventually(lambda: len([one for one in helpers(mark) if one.name() == "sleep"]) == 2)
    running.cancel()
    await asyncio.wait({running})
    await eventually(lambda: not helpers(mark), message="the children of git have ended")


async def test_a_git_that_ended_while_a_child_holds_its_output_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.adapters.forge.git.TIMEOUT_S", 1)
    git(tmp_path, "init", "--quiet")
    mark = f"62{os.getpid()}"
    with pytest.raises(OrchestratorError) as slow:
        await Git(tmp_path).run("-c", f"alias.slow=!sleep {mark} &", "slow")
    assert slow.value.retryable
    await eventually(lambda: not helpers(mark), message="the children of git have ended")


async def test_what_git_says_holds_no_control_characters(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    with pytest.raises(OrchestratorError) as refused:
        await Git(tmp_path).run("-c", "alias.says=!printf 'a\\000b\\033[31m' >&2; false", "says")
    assert "\0" not in refused.value.message
    assert "\x1b" not in str(refused.value.details)
