"""What holds for workspaces wherever agents work: in directories and in volumes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import WorkspacePush
from contracts.worker_steps import PUSHED, BranchTakeUp
from tests.support.services.runtimes import BRANCH, REPOSITORY, Bench, git, working

pytestmark = pytest.mark.timeout(300)
both_sides = pytest.mark.parametrize("bench", ["process", "docker"], indirect=True)
processes_in_the_gate = pytest.mark.parametrize(
    "bench", ["process", pytest.param("docker", marks=pytest.mark.deep)], indirect=True
)
"""For claims about code that both sides run, where another test has that code in containers."""


@pytest.fixture(params=[pytest.param("process", marks=pytest.mark.deep), "docker"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """The gate looks at containers; at processes it looks where a test says `both_sides`."""
    async with working(tmp_path, request.param) as one:
        yield one


COMMIT = "git add --all && git commit --quiet --message Work && git rev-parse HEAD"


async def test_a_workspace_starts_from_main_on_its_branch_without_a_remote(bench: Bench) -> None:
    ready = await bench.prepare()
    assert ready.base_commit == git(bench.forge.mirror(REPOSITORY).directory, "rev-parse", "main")
    assert ready.host_queue == "agents"
    seen = await bench.told("git rev-parse HEAD; git branch --show-current; git remote")
    assert seen.split() == [ready.base_commit, BRANCH]


@both_sides
async def test_the_platform_takes_the_agents_head_and_a_repeat_says_the_same(bench: Bench) -> None:
    base = (await bench.prepare()).base_commit
    head = await bench.told(f"echo x > feature.txt; {COMMIT}")
    first = await bench.runtime.workspaces().push(bench.pushing(base))
    assert first == await bench.runtime.workspaces().push(bench.pushing(base))
    assert (first.commit, first.base_commit, first.files_changed) == (head, base, ["feature.txt"])
    assert git(bench.forge.mirror(REPOSITORY).directory, "rev-parse", BRANCH) == head
    assert git(bench.forge.mirror(REPOSITORY).directory, "rev-parse", "main") == base


@both_sides
async def test_a_workspace_without_a_repository_is_a_folder_that_keeps_what_is_in_it(bench: Bench) -> None:
    ready = await bench.prepare_folder()
    assert (ready.base_commit, ready.host_queue) == (None, "agents")
    await bench.write("notes/a.md", "from the platform")
    assert await bench.told("cat notes/a.md; echo mine > b.md; ls -d .git 2>/dev/null") == "from the platform"
    assert await bench.prepare_folder() == ready
    assert await bench.told("cat b.md", turn=91) == "mine"
    bench.commit({"agent.py": ""})
    with pytest.raises(OrchestratorError) as refused:
        await bench.prepare()
    assert refused.value.code is ErrorCode.CONFLICT
    await bench.runtime.workspaces().remove(bench.worker)
    assert bench.runtime.left_of(bench.worker) == []


async def test_preparing_again_keeps_what_the_agent_has_done(bench: Bench) -> None:
    first = await bench.prepare()
    head = await bench.told(f"echo x > done.txt; {COMMIT}")
    await bench.write("draft.txt", "unfinished")
    assert await bench.prepare() == first
    assert await bench.told("git rev-parse HEAD; cat draft.txt", turn=91) == f"{head}\nunfinished"


@processes_in_the_gate
async def test_a_turn_without_commits_gives_the_base_commit(bench: Bench) -> None:
    base = (await bench.prepare()).base_commit
    await bench.write("TASK.md", "Do something")
    pushed = await bench.runtime.workspaces().push(bench.pushing(base))
    assert (pushed.commit, pushed.files_changed) == (base, [])
    assert await bench.told("git status --porcelain") == ""


@processes_in_the_gate
@pytest.mark.parametrize("history", ["git checkout --quiet --orphan other", "rm -rf .git && git init --quiet"])
async def test_commits_that_do_not_build_on_the_base_are_refused_and_the_next_ones_taken(
    bench: Bench, history: str
) -> None:
    base = (await bench.prepare()).base_commit
    own = "git config user.name A && git config user.email a@localhost"
    await bench.told(f"{history} && {own} && {COMMIT}")
    with pytest.raises(OrchestratorError) as refused:
        await bench.runtime.workspaces().push(bench.pushing(base))
    assert refused.value.code is ErrorCode.REPOSITORY_DIVERGED
    assert BRANCH not in git(bench.forge.mirror(REPOSITORY).directory, "branch", "--list")
    head = await bench.told(f"echo x > again.txt; {COMMIT}", turn=91)
    assert (await bench.runtime.workspaces().push(bench.pushing(base))).commit == head


DAMAGES = [
    "rm -rf .git",
    *(
        pytest.param(one, marks=pytest.mark.deep)
        for one in (
            "rm -rf .git && ln -s /tmp .git",
            "git update-ref -d HEAD",
            "rm -f .git/packed-refs && mkfifo .git/packed-refs",
            "rm -rf .git/objects/??",
        )
    ),
]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_repository_that_cannot_be_read_is_refused_with_the_reason(bench: Bench, damage: str) -> None:
    base = (await bench.prepare()).base_commit
    await bench.told(damage)
    with pytest.raises(OrchestratorError) as refused:
        await bench.runtime.workspaces().push(bench.pushing(base))
    assert refused.value.code is ErrorCode.REPOSITORY_UNREADABLE
    head = await bench.told(f"echo x > again.txt; {COMMIT}", turn=91)
    assert (await bench.runtime.workspaces().push(bench.pushing(base))).commit == head


async def test_files_arrive_as_the_agents_own_and_a_repeat_replaces_them(bench: Bench) -> None:
    await bench.prepare()
    await bench.write("docs/new/wish.md", "one")
    await bench.write("docs/new/wish.md", "two")
    seen = await bench.told("ls docs/new; cat docs/new/wish.md; rm -r docs && echo gone")
    assert seen == "wish.md\ntwogone"


NOT_INSIDE = [
    "../planted",
    "/planted",
    "a/../../planted",
    ".git/config",
    ".GIT/hooks/x",
    "a//b",
    "./a",
    "a/",
    "folder/planted",
]


@both_sides
async def test_a_path_that_is_not_plainly_inside_is_refused(bench: Bench) -> None:
    await bench.prepare()
    await bench.told("mkdir ~/elsewhere && ln -s ~/elsewhere folder")
    for path in NOT_INSIDE:
        with pytest.raises(OrchestratorError) as refused:
            await bench.write(path)
        assert refused.value.code is ErrorCode.INVALID_INPUT, path
    assert await bench.told("ls -d a ../planted /planted folder/planted 2>/dev/null", turn=91) == ""


async def test_a_file_is_written_in_the_place_of_a_planted_link(bench: Bench) -> None:
    await bench.prepare()
    await bench.told("echo kept > ~/target && ln -s ~/target file")
    await bench.write("file", "new")
    assert await bench.told("cat ~/target file", turn=91) == "kept\nnew"


async def test_a_new_workspace_continues_the_pushed_branch(bench: Bench) -> None:
    base = (await bench.prepare()).base_commit
    head = await bench.told(f"echo x > feature.txt; {COMMIT}")
    await bench.runtime.workspaces().push(bench.pushing(base))
    for _ in range(2):
        await bench.runtime.workspaces().remove(bench.worker)
        assert bench.runtime.left_of(bench.worker) == []
    with pytest.raises(OrchestratorError) as refused:
        await bench.write("a")
    assert refused.value.code is ErrorCode.NOT_FOUND
    assert (await bench.prepare()).base_commit == base
    assert await bench.told("git rev-parse HEAD", turn=91) == head


def pushed(bench: Bench, files: dict[str, str]) -> str:
    """What a person pushes to the work branch; the commit."""
    bare, work = bench.forge.mirror(REPOSITORY).directory, bench.root / f"person-{len(list(bench.root.iterdir()))}"
    git(bench.root, "clone", "--quiet", str(bare), str(work))
    git(work, "checkout", "--quiet", "-B", BRANCH, f"origin/{BRANCH}")
    for path, content in files.items():
        (work / path).write_text(content)
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "By hand")
    git(work, "push", "--quiet", "origin", BRANCH)
    return git(work, "rev-parse", "HEAD")


async def one_turn(bench: Bench) -> WorkspacePush:
    """A workspace with a turn behind it; how the next push is made."""
    base = (await bench.prepare()).base_commit
    await bench.told(f"echo agent > shared.txt; {COMMIT}")
    first = await bench.runtime.workspaces().push(bench.pushing(base))
    return bench.pushing(base).model_copy(update={"expected": first.commit})


def taking(push: WorkspacePush) -> BranchTakeUp:
    return BranchTakeUp(worker_id=push.worker_id, repository=push.repository, branch=push.branch, known=push.expected)


@processes_in_the_gate
async def test_what_a_person_pushes_is_in_the_workspace_before_the_next_turn(bench: Bench) -> None:
    push = await one_turn(bench)
    workspaces = bench.runtime.workspaces()
    assert (await workspaces.take_up(taking(push))).state == "same"
    theirs = pushed(bench, {"by-hand.txt": "mine"})
    taken = await workspaces.take_up(taking(push))
    assert (taken.state, taken.branch_head, taken.files) == ("taken", theirs, ["by-hand.txt"])
    assert (await workspaces.take_up(taking(push))).state == "same"
    seen = await bench.told("git rev-parse HEAD; cat by-hand.txt; ls -A | grep -c bundle", turn=91)
    assert seen.split() == [theirs, "mine0"]


@processes_in_the_gate
async def test_a_push_overwrites_nothing_that_others_have_pushed_meanwhile(bench: Bench) -> None:
    push = await one_turn(bench)
    workspaces = bench.runtime.workspaces()
    await bench.told(f"echo more > agent.txt; {COMMIT}", turn=91)
    theirs = pushed(bench, {"by-hand.txt": "mine"})
    with pytest.raises(OrchestratorError) as refused:
        await workspaces.push(push)
    assert refused.value.code is ErrorCode.BRANCH_MOVED
    assert git(bench.forge.mirror(REPOSITORY).directory, "rev-parse", BRANCH) == theirs
    taken = await workspaces.take_up(taking(push))
    assert (taken.state, taken.files) == ("taken", ["by-hand.txt"])
    both = await workspaces.push(push.model_copy(update={"expected": taken.branch_head}))
    assert sorted(both.files_changed) == ["agent.txt", "by-hand.txt", "shared.txt"]


@pytest.mark.deep
@both_sides
async def test_what_does_not_fit_is_named_and_left_where_the_agent_can_merge_it(bench: Bench) -> None:
    push = await one_turn(bench)
    await bench.told(f"echo agents > shared.txt; {COMMIT}", turn=91)
    theirs = pushed(bench, {"shared.txt": "persons"})
    taken = await bench.runtime.workspaces().take_up(taking(push))
    assert (taken.state, taken.branch_head, taken.files) == ("conflict", theirs, ["shared.txt"])
    seen = await bench.told(f"git status --porcelain; cat shared.txt; git rev-parse {PUSHED}", turn=92)
    assert seen.split() == ["agents", theirs]


@pytest.mark.deep
@both_sides
async def test_what_is_not_committed_is_in_the_way_and_stays(bench: Bench) -> None:
    push = await one_turn(bench)
    await bench.told("echo draft > shared.txt", turn=91)
    pushed(bench, {"shared.txt": "persons"})
    taken = await bench.runtime.workspaces().take_up(taking(push))
    assert taken.state == "conflict"
    assert any("shared.txt" in name for name in taken.files)
    assert await bench.told("cat shared.txt", turn=92) == "draft"
