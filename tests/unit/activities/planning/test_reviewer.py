"""What a reviewer is shown is bounded, and what it says is read as from a stranger."""

import json
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from activities.adapters.forge.mirror import BareMirror
from activities.adapters.planning.changes import MAX_DIFF, change_of
from activities.adapters.planning.reviewer import AgentReviewer
from activities.model_turns import AtLimit
from contracts.models import ModelLimit
from contracts.planning import ReviewRequest
from contracts.project_spec import ProjectSpec
from tests.unit.activities.planning import FOLLOW, JUDGE
from tests.unit.activities.planning.test_by_agent import MODEL, Outside, spec, turns

BASE = {"app.py": "print('hello')\n", "old.py": "pass\n"}


class Repository:
    """A repository with a commit on main, and others on top of it. Also the forge that has it."""

    def __init__(self, root: Path) -> None:
        self.root = root / "repository"
        self.root.mkdir()
        self._git("init", "-q", "-b", "main")
        self.main = self.commit(BASE)
        self._git("checkout", "-q", "-b", "task")

    def commit(self, files: dict[str, str | bytes | None]) -> str:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self._git("add", "-A")
        self._git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "work")
        return self._git("rev-parse", "HEAD")

    def mirror(self, name: str = "u1/thing") -> BareMirror:
        return BareMirror(name, self.root / ".git")

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def asking(commit: str, **changes: Any) -> ReviewRequest:
    values = {"judge": MODEL, "spec": spec("Photos are shown"), "repository": "u1/thing", "commit": commit}
    return ReviewRequest.model_validate({**values, **changes})


def reviewer(outside: Outside, repository: Repository) -> AgentReviewer:
    return AgentReviewer(turns(outside), cast(Any, repository))


async def test_a_change_is_what_it_would_do_to_main_also_when_main_has_moved(repository: Repository) -> None:
    head = repository.commit({"app.py": "print('hi')\n", "new.py": "x = 1\n", "old.py": None})
    repository._git("checkout", "-q", "main")
    repository.commit({"others.py": "of somebody else\n"})
    change = await change_of(repository.mirror(), head)
    assert change.files == ["app.py", "new.py", "old.py"]
    assert "-print('hello')\n+print('hi')" in change.diff
    assert "somebody else" not in change.diff
    assert change.unread == 0


async def test_a_change_of_any_size_fits_and_what_is_left_out_is_counted(repository: Repository) -> None:
    large = {f"f{number:03}.py": f"line {number}\n" * 3_000 for number in range(12)}
    head = repository.commit({**large, "a.lock": "1\n" * 9_000, "z.bin": bytes(range(256)) * 9_000})
    change = await change_of(repository.mirror(), head)
    assert len(change.diff) < MAX_DIFF + 5_000
    assert "a.lock\n" not in change.diff, "what nobody reads comes last"
    assert 9 <= change.unread <= 14
    assert len(change.files) == 14


async def test_a_hostile_repository_runs_nothing_and_names_no_file_outside(
    repository: Repository, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    repository._git("config", "diff.evil.textconv", f"touch {mark} #")
    repository._git("config", "diff.external", f"touch {mark} #")
    hostile = {".gitattributes": "* diff=evil\n", "a\nb.py": "x\n", "--output=x": "y\n", ":(top)z": "z\n"}
    change = await change_of(repository.mirror(), repository.commit(hostile))
    assert not mark.exists()
    assert (len(change.files), change.unread) == (4, 0)
    assert not (repository.root / ".git" / "x").exists()


async def test_a_reviewer_sees_task_and_change_and_its_findings_are_kept_apart_from_its_words(
    repository: Repository,
) -> None:
    found = {"severity": "blocker", "file": "app.py", "line": 1, "text": " It\n logs\x00 the password. "}
    document = {"summary": "One thing.", "findings": [found, 7, {"text": ""}, {"severity": "remark", "text": "odd"}]}
    outside = Outside([document])
    head = repository.commit({"app.py": "print(password)\n"})
    review = await reviewer(outside, repository).review(asking(head, number=2), FOLLOW)
    assert [str(one) for one in review.findings] == ["blocker: app.py:1: It logs� the password.", "remark: odd"]
    assert (review.problem, review.summary, review.commit) == ("", "One thing.", head)
    assert set(outside.files) == {"TASK.json", "CHANGE.diff", "FILES.json"}
    assert "+print(password)" in outside.files["CHANGE.diff"]
    assert json.loads(outside.files["TASK.json"])["criteria"] == ["Photos are shown"]
    (opened,) = outside.opened
    assert (opened.role, opened.worker_id, opened.turn) == ("reviewer", "t1-reviewer", 2)
    assert outside.removed == ["t1-reviewer"]


async def test_why_there_is_no_review_is_said(repository: Repository) -> None:
    head = repository.commit({"app.py": "1\n"})
    for outside, said in (
        (Outside(["approve"]), "cannot be read"),
        (Outside([{"findings": "none"}]), "cannot be read"),
        (Outside([{"findings": []}], last_status=529), "529"),
    ):
        review = await reviewer(outside, repository).review(asking(head), FOLLOW)
        assert said in review.problem
    nobody = await reviewer(Outside(), repository).review(asking(head, judge=JUDGE), FOLLOW)
    assert "`reviewer`" in nobody.problem


async def test_a_limit_of_the_model_is_no_review_that_nobody_could_do(repository: Repository) -> None:
    head = repository.commit({"app.py": "1\n"})
    outside = Outside(refused=ModelLimit(kind="budget", message="The budget is spent."))
    with pytest.raises(AtLimit, match="The budget is spent"):
        await reviewer(outside, repository).review(asking(head), FOLLOW)


async def test_a_stop_stops_the_review_that_runs(repository: Repository) -> None:
    outside = Outside()
    await reviewer(outside, repository).stop(MODEL, 2)
    assert outside.stopped == ["t1-reviewer/1", "t1-reviewer/2"]
    assert outside.removed == ["t1-reviewer"]


def test_what_is_asked_for_fits_into_a_file_of_a_workspace() -> None:
    assert len(ProjectSpec(name="a", description="x").model_dump_json()) < 100_000
