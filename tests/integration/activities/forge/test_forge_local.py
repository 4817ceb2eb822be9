"""The local forge: our repositories only, one scaffold, main moves forward only."""

from __future__ import annotations

import asyncio
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from activities.adapters.forge.local import LocalBareForge
from activities.adapters.forge.scaffold import CopierScaffolder
from contracts.departments import ScaffolderMessage
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.steps import Check, PublishRequest, PublishResult

SCAFFOLDER = CopierScaffolder()


@pytest.fixture
def forge(tmp_path: Path) -> LocalBareForge:
    return LocalBareForge(tmp_path / "forge", SCAFFOLDER)


def wish(name: str = "", **fields: object) -> ScaffolderMessage:
    name = name or f"shop-{uuid4().hex[:6]}"
    known: dict[str, object] = {
        "project_id": f"p-{uuid4().hex[:8]}",
        "repo_full_name": f"u1/{name}",
        "project_name": name,
        "modules": ["backend"],
        "description": "Sells things",
        "timestamp": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return ScaffolderMessage.model_validate({**known, **fields})


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=Somebody", "-c", "user.email=s@localhost", *arguments],
        cwd=directory, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def clone(forge: LocalBareForge, message: ScaffolderMessage, directory: Path) -> Path:
    git(directory.parent, "clone", "--quiet", str(forge.mirror(message.repo_full_name).directory), str(directory))
    return directory


def commit(work: Path, path: str, content: str) -> str:
    (work / path).parent.mkdir(parents=True, exist_ok=True)
    (work / path).write_text(content)
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", f"Change {path}")
    return git(work, "rev-parse", "HEAD")


def publication(message: ScaffolderMessage, base: str, head: str, checks: list[Check] | None = None) -> PublishRequest:
    return PublishRequest(
        task_id="eng-1", project_id=message.project_id, repository=message.repo_full_name,
        branch="task/eng-1", commit=head, base_commit=base,
        checks=checks or [Check(name="tests", commit=head, passed=True)],
    )  # fmt: skip


async def test_a_project_is_scaffolded_in_one_commit_and_adopted_ever_after(forge: LocalBareForge) -> None:
    message = wish()
    first = await forge.scaffold(message)
    second = await forge.scaffold(message)
    bare = forge.mirror(message.repo_full_name).directory
    assert git(bare, "rev-list", "--count", "main") == "1"
    assert git(bare, "rev-parse", "main") == first.commit == second.commit
    assert (first.adopted, second.adopted) == (False, True)
    assert first.template_version == second.template_version
    assert "Makefile" in git(bare, "ls-tree", "--name-only", "main").splitlines()


async def test_concurrent_scaffolds_make_one_commit(forge: LocalBareForge, tmp_path: Path) -> None:
    message = wish()
    forges = [LocalBareForge(tmp_path / "forge", SCAFFOLDER) for _ in range(4)]
    results = await asyncio.gather(*(one.scaffold(message) for one in forges))
    assert len({result.commit for result in results}) == 1
    assert git(forge.mirror(message.repo_full_name).directory, "rev-list", "--count", "--all") == "1"


async def test_equal_messages_give_equal_commits_on_any_machine(tmp_path: Path) -> None:
    message = wish()
    one = await LocalBareForge(tmp_path / "one", SCAFFOLDER).scaffold(message)
    two = await LocalBareForge(tmp_path / "two", SCAFFOLDER).scaffold(message)
    assert one.commit == two.commit


async def test_a_scaffold_that_was_killed_before_its_push_is_done_again(forge: LocalBareForge) -> None:
    message = wish()
    done = await forge.scaffold(message)
    git(forge.mirror(message.repo_full_name).directory, "update-ref", "-d", "refs/heads/main")
    again = await forge.scaffold(message)
    assert (again.commit, again.adopted) == (done.commit, False)


@pytest.mark.parametrize("gone", [".copier-answers.yml", "service.yaml", "Makefile", "."])
async def test_a_project_that_has_deleted_files_of_the_template_is_ours_all_the_same(
    forge: LocalBareForge, tmp_path: Path, gone: str
) -> None:
    message = wish()
    first = await forge.scaffold(message)
    work = clone(forge, message, tmp_path / "work")
    git(work, "rm", "-r", "--quiet", gone)
    git(work, "commit", "--quiet", "--message", "Delete")
    git(work, "push", "--quiet", "origin", "HEAD:main")
    again = await forge.scaffold(message)
    assert (again.commit, again.adopted) == (first.commit, True)
    git(forge.mirror(message.repo_full_name).directory, "config", "--unset", "orchestrator.scaffold")
    assert (await forge.scaffold(message)).commit == first.commit, "one that was made before there was this mark"


async def test_a_merged_foreign_history_does_not_change_what_was_scaffolded(
    forge: LocalBareForge, tmp_path: Path
) -> None:
    message = wish()
    first = await forge.scaffold(message)
    work = clone(forge, message, tmp_path / "work")
    git(work, "checkout", "--quiet", "--orphan", "other")
    git(work, "commit", "--quiet", "--message", "Other", "--date", "2001-01-01T00:00:00Z")
    git(work, "checkout", "--quiet", "main")
    git(work, "merge", "--quiet", "--allow-unrelated-histories", "--strategy=ours", "--message", "Both", "other")
    git(work, "push", "--quiet", "origin", "HEAD:main")
    assert (await forge.scaffold(message)).commit == first.commit


async def test_a_repository_of_another_project_is_left_alone(forge: LocalBareForge) -> None:
    message = wish()
    await forge.scaffold(message)
    before = git(forge.mirror(message.repo_full_name).directory, "rev-parse", "main")
    with pytest.raises(OrchestratorError) as refused:
        await forge.scaffold(wish(message.project_name))
    assert refused.value.code is ErrorCode.REPOSITORY_FOREIGN
    assert git(forge.mirror(message.repo_full_name).directory, "rev-parse", "main") == before


async def test_a_repository_without_our_mark_is_left_alone(forge: LocalBareForge) -> None:
    message = wish()
    bare = forge.mirror(message.repo_full_name).directory
    bare.mkdir(parents=True)
    git(bare, "init", "--quiet", "--bare")
    with pytest.raises(OrchestratorError) as refused:
        await forge.scaffold(message)
    assert refused.value.code is ErrorCode.REPOSITORY_FOREIGN
    assert git(bare, "rev-list", "--count", "--all") == "0"


async def test_an_unknown_module_is_a_permanent_failure_that_names_it(forge: LocalBareForge) -> None:
    message = wish(modules=["mainframe"])
    with pytest.raises(OrchestratorError) as failed:
        await forge.scaffold(message)
    assert failed.value.code is ErrorCode.SCAFFOLD_FAILED
    assert failed.value.error_class is ErrorClass.PERMANENT
    assert "mainframe" in failed.value.message


async def test_main_moves_forward_to_a_verified_commit_and_a_repeat_says_the_same(
    forge: LocalBareForge, tmp_path: Path
) -> None:
    message = wish()
    base = (await forge.scaffold(message)).commit
    work = clone(forge, message, tmp_path / "work")
    head = commit(work, "notes/a.txt", "a")
    git(work, "push", "--quiet", "origin", "HEAD:task/eng-1")
    first = await forge.publish(publication(message, base, head))
    second = await forge.publish(publication(message, base, head))
    assert first == second == PublishResult(status="published", commit=head, files_changed=["notes/a.txt"])
    assert git(forge.mirror(message.repo_full_name).directory, "rev-parse", "main") == head


@pytest.mark.parametrize(
    "checks",
    [
        [Check(name="tests", commit="0" * 40, passed=True)],
        [Check(name="style", commit="0" * 40, passed=True)],
        [Check(name="tests", commit="0" * 40, passed=False)],
    ],
    ids=["of another commit", "of something else", "red"],
)
async def test_main_is_protected_from_a_commit_whose_tests_are_not_green(
    forge: LocalBareForge, tmp_path: Path, checks: list[Check]
) -> None:
    message = wish()
    base = (await forge.scaffold(message)).commit
    work = clone(forge, message, tmp_path / "work")
    head = commit(work, "notes/a.txt", "a")
    git(work, "push", "--quiet", "origin", "HEAD:task/eng-1")
    red = [check.model_copy(update={"commit": head}) if not check.passed else check for check in checks]
    with pytest.raises(OrchestratorError) as refused:
        await forge.publish(publication(message, base, head, red))
    assert refused.value.code is ErrorCode.NOT_ALLOWED
    assert git(forge.mirror(message.repo_full_name).directory, "rev-parse", "main") == base


async def test_work_is_rebased_when_main_has_moved_and_the_same_commit_comes_out_twice(
    forge: LocalBareForge, tmp_path: Path
) -> None:
    message = wish()
    base = (await forge.scaffold(message)).commit
    work = clone(forge, message, tmp_path / "work")
    head = commit(work, "mine.txt", "mine")
    git(work, "push", "--quiet", "origin", "HEAD:task/eng-1")
    other = clone(forge, message, tmp_path / "other")
    moved = commit(other, "theirs.txt", "theirs")
    git(other, "push", "--quiet", "origin", "HEAD:main")
    first = await forge.publish(publication(message, base, head))
    second = await forge.publish(publication(message, base, head))
    bare = forge.mirror(message.repo_full_name).directory
    assert first == second
    assert (first.status, first.files_changed) == ("rebased", ["mine.txt"])
    assert git(bare, "rev-parse", "task/eng-1") == first.commit
    assert git(bare, "rev-parse", f"{first.commit}^") == moved == git(bare, "rev-parse", "main")
    published = await forge.publish(publication(message, moved, first.commit))
    assert published.status == "published"


async def test_a_rebase_takes_away_nothing_that_a_person_has_pushed_meanwhile(
    forge: LocalBareForge, tmp_path: Path
) -> None:
    message = wish()
    base = (await forge.scaffold(message)).commit
    work = clone(forge, message, tmp_path / "work")
    head = commit(work, "mine.txt", "mine")
    git(work, "push", "--quiet", "origin", "HEAD:task/eng-1")
    by_hand = commit(work, "by-hand.txt", "a person's")
    git(work, "push", "--quiet", "origin", "HEAD:task/eng-1")
    other = clone(forge, message, tmp_path / "other")
    commit(other, "theirs.txt", "theirs")
    git(other, "push", "--quiet", "origin", "HEAD:main")
    refused = await forge.publish(publication(message, base, head))
    assert (refused.status, refused.conflict) == ("conflict", ["by-hand.txt"])
    assert git(forge.mirror(message.repo_full_name).directory, "rev-parse", "task/eng-1") == by_hand


async def test_a_conflict_names_the_files_and_changes_nothing(forge: LocalBareForge, tmp_path: Path) -> None:
    message = wish()
    base = (await forge.scaffold(message)).commit
    work = clone(forge, message, tmp_path / "work")
    head = commit(work, "README.md", "mine\n")
    git(work, "push", "--quiet", "origin", "HEAD:task/eng-1")
    other = clone(forge, message, tmp_path / "other")
    moved = commit(other, "README.md", "theirs\n")
    git(other, "push", "--quiet", "origin", "HEAD:main")
    result = await forge.publish(publication(message, base, head))
    bare = forge.mirror(message.repo_full_name).directory
    assert (result.status, result.conflict, result.commit) == ("conflict", ["README.md"], head)
    assert (git(bare, "rev-parse", "main"), git(bare, "rev-parse", "task/eng-1")) == (moved, head)
    assert list((tmp_path / "forge" / ".drafts").iterdir()) == []


async def test_a_commit_that_the_forge_does_not_have_is_refused(forge: LocalBareForge) -> None:
    message = wish()
    base = (await forge.scaffold(message)).commit
    with pytest.raises(OrchestratorError) as refused:
        await forge.publish(publication(message, base, "0123456789" * 4))
    assert refused.value.code is ErrorCode.COMMIT_NOT_ON_REMOTE


async def test_files_are_read_from_a_commit_and_links_are_not_followed(forge: LocalBareForge, tmp_path: Path) -> None:
    message = wish()
    base = (await forge.scaffold(message)).commit
    work = clone(forge, message, tmp_path / "work")
    os.symlink("/etc/passwd", work / "link.txt")
    head = commit(work, "имя файла.txt", "текст")
    git(work, "push", "--quiet", "origin", "HEAD:task/eng-1")
    wanted = ["link.txt", "имя файла.txt", "absent", "services", ":(glob)*", "../config"]
    assert await forge.mirror(message.repo_full_name).read_files(head, wanted) == (head, {"имя файла.txt": "текст"})
    found, files = await forge.mirror(message.repo_full_name).read_files(None, ["service.yaml"])
    assert found == base
    assert "backend" in files["service.yaml"]


async def test_other_encodings_are_read_or_refused_with_words(forge: LocalBareForge, tmp_path: Path) -> None:
    message = wish()
    await forge.scaffold(message)
    work = clone(forge, message, tmp_path / "work")
    (work / "marked.txt").write_bytes("имя".encode("utf-16"))
    (work / "plain.txt").write_bytes("имя".encode("utf-16-le"))
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "Encodings")
    git(work, "push", "--quiet", "origin", "HEAD:task/eng-1")
    head, mirror = git(work, "rev-parse", "HEAD"), forge.mirror(message.repo_full_name)
    assert await mirror.read_files(head, ["marked.txt"]) == (head, {"marked.txt": "имя"})
    with pytest.raises(OrchestratorError) as refused:
        await mirror.read_files(head, ["plain.txt"])
    assert "plain.txt is not a text file; save it as UTF-8" in refused.value.message


async def test_a_huge_file_and_an_unknown_commit_are_refused(forge: LocalBareForge, tmp_path: Path) -> None:
    message = wish()
    await forge.scaffold(message)
    work = clone(forge, message, tmp_path / "work")
    head = commit(work, "huge.txt", "x" * 2_000_000)
    git(work, "push", "--quiet", "origin", "HEAD:task/eng-1")
    with pytest.raises(OrchestratorError) as huge:
        await forge.mirror(message.repo_full_name).read_files(head, ["huge.txt"])
    with pytest.raises(OrchestratorError) as unknown:
        await forge.mirror(message.repo_full_name).read_files("f" * 40, ["README.md"])
    assert (huge.value.code, unknown.value.code) == (ErrorCode.INVALID_INPUT, ErrorCode.NOT_FOUND)


async def test_a_module_that_is_wanted_later_is_on_the_work_branch(forge: LocalBareForge, tmp_path: Path) -> None:
    message = wish()
    await forge.scaffold(message)
    bare = forge.mirror(message.repo_full_name).directory
    work = clone(forge, message, tmp_path / "work")
    commit(work, "services/backend/routes/mine.py", "# by a person\n")
    commit(work, "README.md", "Mine now\n")
    git(work, "push", "--quiet", "origin", "main")
    main = git(bare, "rev-parse", "main")
    later = message.model_copy(
        update={"modules": ["backend", "tg_bot"], "description": "Say hello", "branch": "task/eng-2"}
    )
    with pytest.raises(OrchestratorError) as refused:
        await forge.scaffold(later)
    assert (refused.value.code, "README.md" in refused.value.message) == (ErrorCode.SCAFFOLD_FAILED, True)
    git(work, "revert", "--no-edit", "HEAD")
    git(work, "push", "--quiet", "origin", "main")
    main = git(bare, "rev-parse", "main")
    assert (await forge.scaffold(later)).adopted
    branch = git(bare, "rev-parse", "task/eng-2")
    assert (await forge.scaffold(later)).adopted
    assert git(bare, "rev-parse", "task/eng-2", "task/eng-2^", "main").split() == [branch, main, main]
    names = git(bare, "ls-tree", "-r", "--name-only", "task/eng-2").splitlines()
    assert {"services/tg_bot/app.py", "tests/tg_bot/test_bot.py", "services/backend/routes/mine.py"} <= {*names}
    assert "TELEGRAM_BOT_TOKEN" in git(bare, "show", "task/eng-2:env.contract.yaml")
    assert "Sells things" in git(bare, "show", "task/eng-2:.copier-answers.yml")


@pytest.mark.parametrize(
    "change", ["rm --quiet .copier-answers.yml", "rm --quiet README.md Makefile", "mv .copier-answers.yml answers.yml"]
)
async def test_a_module_can_be_added_although_files_of_the_template_are_gone(
    forge: LocalBareForge, tmp_path: Path, change: str
) -> None:
    message = wish()
    await forge.scaffold(message)
    work = clone(forge, message, tmp_path / "work")
    git(work, *change.split())
    git(work, "commit", "--quiet", "--message", "Delete")
    git(work, "push", "--quiet", "origin", "HEAD:main")
    gone = set(change.split()) - {"rm", "mv", "--quiet", "answers.yml"}
    later = {"modules": ["backend", "tg_bot"], "description": "Say hello", "branch": "task/eng-2"}
    assert (await forge.scaffold(message.model_copy(update=later))).adopted
    bare = forge.mirror(message.repo_full_name).directory
    names = {*git(bare, "ls-tree", "-r", "--name-only", "task/eng-2").splitlines()}
    assert "services/tg_bot/app.py" in names
    assert not gone & names, "what the project has deleted stays deleted"


async def test_notes_of_the_template_that_were_rewritten_are_no_conflict(forge: LocalBareForge, tmp_path: Path) -> None:
    message = wish()
    await forge.scaffold(message)
    work = clone(forge, message, tmp_path / "work")
    commit(work, ".copier-answers.yml", "modules: mine\n")
    git(work, "push", "--quiet", "origin", "HEAD:main")
    later = {"modules": ["backend", "tg_bot"], "branch": "task/eng-2"}
    assert (await forge.scaffold(message.model_copy(update=later))).adopted
    bare = forge.mirror(message.repo_full_name).directory
    assert git(bare, "show", "task/eng-2:.copier-answers.yml") == "modules: mine"


async def test_modules_are_added_to_nothing_that_has_them(forge: LocalBareForge) -> None:
    message = wish(modules=["backend", "tg_bot"])
    await forge.scaffold(message)
    await forge.scaffold(message.model_copy(update={"modules": ["backend"], "branch": "task/eng-2"}))
    assert git(forge.mirror(message.repo_full_name).directory, "branch", "--list", "task/*") == ""
