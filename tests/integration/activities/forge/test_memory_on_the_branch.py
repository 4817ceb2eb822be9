"""The memory of a project reaches its repository by a commit of the platform on the branch of the next task."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from activities.adapters.forge.local import LocalBareForge
from contracts.memory import PATH, FailureNote, MemoryToWrite
from tests.integration.activities.forge.test_forge_local import SCAFFOLDER, clone, commit, git, publication, wish

FAILURE = FailureNote(key="k", line="Checks were red: `E  assert 1 == 2`", noted_at=datetime(2026, 1, 2, tzinfo=UTC))
BRANCH = "task/eng-1"


@pytest.fixture
def forge(tmp_path: Path) -> LocalBareForge:
    return LocalBareForge(tmp_path / "forge", SCAFFOLDER)


async def test_it_is_on_the_branch_once_and_main_is_as_it_was(forge: LocalBareForge, tmp_path: Path) -> None:
    first = wish(branch=BRANCH)
    scaffold = (await forge.scaffold(first)).commit
    bare = forge.mirror(first.repo_full_name).directory
    assert git(bare, "for-each-ref", "--format=%(refname)") == "refs/heads/main", "there is nothing to remember"
    message = first.model_copy(update={"memory": MemoryToWrite(failures=[FAILURE])})
    assert (await forge.scaffold(message)).commit == scaffold
    tip = git(bare, "rev-parse", BRANCH)
    assert git(bare, "rev-parse", "main") == git(bare, "rev-parse", f"{BRANCH}^") == scaffold
    assert f"- {FAILURE.line}" in git(bare, "show", f"{BRANCH}:{PATH}")
    assert git(bare, "diff", "--name-only", "main", BRANCH) == PATH
    assert (await forge.scaffold(message)).commit == scaffold
    assert git(bare, "rev-parse", BRANCH) == tip, "a second run finds it there"


async def test_what_a_person_wrote_takes_the_place_of_the_file_also_of_a_link(
    forge: LocalBareForge, tmp_path: Path
) -> None:
    first = wish(branch=BRANCH)
    scaffold = (await forge.scaffold(first)).commit
    work = clone(forge, first, tmp_path / "clone")
    (work / PATH).unlink()
    (work / PATH).symlink_to("/etc/passwd")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "A link")
    head = git(work, "rev-parse", "HEAD")
    git(work, "push", "--quiet", "origin", "HEAD:refs/heads/task/eng-1")
    await forge.publish(publication(first, scaffold, head))
    later = first.model_copy(update={"branch": "task/eng-2", "memory": MemoryToWrite(edited="Use UTC.\n")})
    await forge.scaffold(later)
    bare = forge.mirror(first.repo_full_name).directory
    assert git(bare, "show", f"task/eng-2:{PATH}") == "Use UTC."
    assert git(bare, "ls-tree", "task/eng-2", PATH).startswith("100644 blob")


async def test_two_works_that_both_add_to_it_do_not_conflict(forge: LocalBareForge, tmp_path: Path) -> None:
    message = wish()
    scaffold = (await forge.scaffold(message)).commit
    heads = []
    for number in (1, 2):
        work = clone(forge, message, tmp_path / f"clone-{number}")
        git(work, "reset", "--quiet", "--hard", scaffold)
        text = (work / PATH).read_text().replace("## Decisions\n", f"## Decisions\n- Decision {number}\n")
        heads.append(commit(work, PATH, text))
        git(work, "push", "--quiet", "origin", f"HEAD:refs/heads/task/eng-{number}")
    await forge.publish(publication(message, scaffold, heads[0]))
    second = publication(message, scaffold, heads[1]).model_copy(update={"branch": "task/eng-2"})
    result = await forge.publish(second)
    assert result.status == "rebased", result
    told = git(forge.mirror(message.repo_full_name).directory, "show", f"{result.commit}:{PATH}")
    assert "- Decision 1" in told
    assert "- Decision 2" in told


async def test_a_branch_is_behind_once_main_has_something_that_it_has_not(
    forge: LocalBareForge, tmp_path: Path
) -> None:
    message = wish()
    scaffold = (await forge.scaffold(message)).commit
    mirror, heads = forge.mirror(message.repo_full_name), []
    for number in (1, 2):
        work = clone(forge, message, tmp_path / f"clone-{number}")
        heads.append(commit(work, f"file-{number}", "x"))
        git(work, "push", "--quiet", "origin", f"HEAD:refs/heads/task/eng-{number}")
    assert [await mirror.is_behind_main(head) for head in heads] == [False, False]
    await forge.publish(publication(message, scaffold, heads[0]))
    assert [await mirror.is_behind_main(head) for head in (*heads, scaffold)] == [False, True, True]
