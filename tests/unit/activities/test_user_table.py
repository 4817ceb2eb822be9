"""Users of the machine: one owner each, whatever the owners are called and whoever else uses the machine."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from activities.adapters.runs import unprivileged
from activities.adapters.runs.states import RunAs
from activities.adapters.runs.trees import remove_tree
from activities.adapters.runs.unprivileged import UserTable, give
from contracts.errors import ErrorCode, OrchestratorError

ROOT = Path(__file__).resolve().parents[3]


def table(tmp_path: Path, home: str = "home") -> UserTable:
    (tmp_path / home).mkdir(exist_ok=True)
    return UserTable(tmp_path / "machine", tmp_path / home)


def test_an_owner_keeps_its_user_and_no_two_have_one(tmp_path: Path) -> None:
    """By hash, a project called `bx-5230` had the user of another one."""
    users = table(tmp_path)
    owners = [f"service-{name}" for name in ("blog", "bx-5230", *range(300))]
    given = [users.claim(owner) for owner in owners]
    assert len({user.uid for user in given}) == len(owners)
    assert [users.claim(owner) for owner in owners] == given
    assert all(user.uid == user.gid for user in given)


def test_two_installations_on_one_machine_share_no_user(tmp_path: Path) -> None:
    first, second = table(tmp_path), table(tmp_path, "other")
    assert first.claim("service-blog") != second.claim("service-blog")
    assert first.claim("service-blog") != second.claim("service-diary")


def test_simultaneous_claims_share_no_user(tmp_path: Path) -> None:
    """From several programs, as deploys are."""
    claim = (
        "import sys; from pathlib import Path; from activities.adapters.runs.unprivileged import UserTable; "
        "print(*(UserTable(Path(sys.argv[1]), Path(sys.argv[1])).claim(f'{sys.argv[2]}-{n}').uid for n in range(20)))"
    )

    def claimed(name: str) -> list[str]:
        argv = [sys.executable, "-c", claim, str(tmp_path), name]
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()

    with ThreadPoolExecutor(4) as pool:
        found = [uid for uids in pool.map(claimed, "abcd") for uid in uids]
    assert len(set(found)) == 80


def test_a_user_of_the_system_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {20_000, 20_001}

    def getpwuid(uid: int) -> pwd.struct_passwd:
        if uid in known:
            return pwd.getpwuid(0)
        raise KeyError(uid)

    monkeypatch.setattr(unprivileged, "pwd", type("pwd", (), {"getpwuid": staticmethod(getpwuid)}))
    assert table(tmp_path).claim("a") == RunAs(20_002, 20_002)


def test_a_released_user_is_the_last_to_be_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of its former owner may still be somewhere."""
    monkeypatch.setattr(unprivileged, "_UIDS", 3)
    users = table(tmp_path)
    first = users.claim("a")
    users.release("a")
    assert first not in {users.claim("b"), users.claim("c")}
    assert users.claim("d") == first
    with pytest.raises(OrchestratorError) as refused:
        users.claim("e")
    assert refused.value.code is ErrorCode.PROCESS_FAILED
    users.release("never there")


def test_users_of_an_installation_that_is_gone_are_free_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unprivileged, "_UIDS", 1)
    user = table(tmp_path).claim("a")
    (tmp_path / "home").rmdir()
    assert table(tmp_path, "other").claim("b") == user


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_older_platforms_gave_by_name_stays_unless_it_is_somebody_elses(tmp_path: Path) -> None:
    """A release that runs as that user must find its data while the next one is deployed."""
    users, data = table(tmp_path), tmp_path / "data"
    data.mkdir()
    os.chown(data, 31_234, 31_234)
    assert users.claim("service-blog", data) == RunAs(31_234, 31_234)
    assert users.claim("service-with-an-equal-hash", data).uid != 31_234
    os.chown(data, 12, 12)
    assert users.claim("service-of-a-daemon", data).uid >= 20_000


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_giving_a_directory_away_gives_nothing_else_away(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    (theirs / "deep").mkdir(parents=True)
    (ours / "secret").touch()
    (theirs / "link").symlink_to(ours)
    (theirs / "deep" / "file").touch()
    (theirs / "deep" / "link").symlink_to(ours / "secret")
    os.mkfifo(theirs / "pipe")
    give(theirs, RunAs(23_456, 23_456))
    assert {path.lstat().st_uid for path in (theirs, *theirs.rglob("*"))} == {23_456}
    assert {path.lstat().st_uid for path in (ours, ours / "secret")} == {os.geteuid()}
    give(theirs, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_ours_that_was_linked_into_a_directory_is_not_given_away_with_it(tmp_path: Path) -> None:
    """Not every kernel refuses such links (`fs.protected_hardlinks`)."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.touch()
    theirs.mkdir()
    (theirs / "of-ours").hardlink_to(ours)
    (theirs / "own").touch()
    give(theirs, RunAs(23_456, 23_456))
    assert ours.stat().st_uid == os.geteuid()
    assert (theirs / "own").stat().st_uid == 23_456


def test_directories_without_end_are_refused_in_words(tmp_path: Path) -> None:
    here, mine = os.getcwd(), RunAs(os.geteuid(), os.getegid())
    os.chdir(tmp_path)
    try:
        for _ in range(1_500):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    with pytest.raises(OrchestratorError, match="nested too deeply"):
        give(tmp_path, mine)
    remove_tree(tmp_path / "d")
    give(tmp_path, mine)
