"""Git over HTTP: cloned with a key from anywhere; pushed to branches of tasks, and nowhere else."""

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from api.git.push_rules import refused_refs
from api.git.repositories import repository_dir
from tests.support.api import Api, Headers, running_api, served

TASK = "refs/heads/task/eng-1"
ZERO, ONE = b"0" * 40, b"1" * 40


@dataclass(frozen=True)
class Place:
    """A repository with one commit, its address, and a directory for clones."""

    api: Api
    url: str
    project_id: str
    owner: Headers
    bare: Path
    work: Path

    async def git(self, *arguments: str, who: Headers | None, cwd: Path | None = None) -> tuple[int, str]:
        """Run the user's Git, which asks for a password by the usual way."""
        key = who["Authorization"].removeprefix("Bearer ") if who else ""
        ask = self.work / "askpass"
        ask.write_text(f'#!{sys.executable}\nprint("{key}")\n')
        ask.chmod(0o700)
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.work), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": str(ask) if who else "", "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b",
            "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@b", "LC_ALL": "C",
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            "git", *arguments, cwd=cwd or self.work, env=env, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode(errors="replace")

    async def cloned(self, name: str = "clone") -> Path:
        code, said = await self.git("clone", "--quiet", self.url, name, who=self.owner)
        assert code == 0, said
        return self.work / name

    async def committed(self, clone: Path, size: int = 10) -> None:
        (clone / "more.bin").write_bytes(os.urandom(size))
        for command in (("add", "."), ("commit", "--quiet", "-m", "more")):
            code, said = await self.git(*command, who=None, cwd=clone)
            assert code == 0, said

    def refs(self) -> dict[str, str]:
        said = subprocess.run(
            ["git", "for-each-ref", "--format=%(refname) %(objectname)"],
            cwd=self.bare, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        return dict(line.split() for line in said.splitlines())


def make_bare(directory: Path, scratch: Path) -> None:
    directory.parent.mkdir(parents=True)
    commands = " && ".join(
        [
            f"git init -q --bare -b main {directory}",
            f"git init -q -b main {scratch}",
            f"cd {scratch}",
            "echo hello > README.md",
            "git add .",
            "git -c user.name=A -c user.email=a@b commit -q -m first",
            f"git push -q {directory} main main:refs/orchestrator/incoming/w",
        ]
    )
    subprocess.run(["/bin/sh", "-c", commands], check=True, env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"})


@pytest_asyncio.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Api, str]]:
    async with running_api(tmp_path_factory.mktemp("api")) as api, served(api.app) as url:
        yield api, url


@pytest_asyncio.fixture
async def place(site: tuple[Api, str], tmp_path: Path) -> Place:
    api, url = site
    _, owner = await api.new_user()
    project = await api.new_project(owner)
    task = await api.new_task(project, project_status="scaffolded")
    await api.project_task(task, project, seq=2, state="completed")
    shown = (await api.http.get(f"/projects/{project}", headers=owner)).json()["project"]
    bare = repository_dir(api.settings, shown["repository"])
    make_bare(bare, tmp_path / "scratch")
    (tmp_path / "work").mkdir()
    path = httpx.URL(shown["clone_url"]).path
    return Place(api, f"{url}{path}", project, owner, bare, tmp_path / "work")


async def test_a_repository_is_cloned_with_the_persons_key(place: Place) -> None:
    clone = await place.cloned()
    assert (clone / "README.md").read_text() == "hello\n"
    code, said = await place.git("ls-remote", place.url, who=place.owner)
    assert code == 0
    assert "refs/orchestrator" not in said


async def test_without_the_right_key_nothing_is_told(place: Place) -> None:
    _, stranger = await place.api.new_user()
    code, said = await place.git("clone", place.url, "none", who=None)
    assert code != 0
    code, said = await place.git("clone", place.url, "none", who={"Authorization": "Bearer user_wrong"})
    assert (code != 0, "Authentication failed" in said) == (True, True), said
    code, said = await place.git("clone", place.url, "none", who=stranger)
    assert (code != 0, "that you may see" in said) == (True, True), said
    assert not (place.work / "none").exists()


async def test_a_branch_of_a_task_is_pushed_and_deleted(place: Place) -> None:
    clone = await place.cloned()
    await place.committed(clone, size=3_000_000)
    code, said = await place.git("push", "origin", f"HEAD:{TASK}", who=place.owner, cwd=clone)
    assert code == 0, said
    assert TASK in place.refs()
    code, said = await place.git("push", "origin", f":{TASK}", who=place.owner, cwd=clone)
    assert code == 0, said
    assert TASK not in place.refs()


@pytest.mark.parametrize(
    "ref", ["refs/heads/main", "refs/heads/other", "refs/tags/v1", "refs/heads/task", "refs/orchestrator/incoming/w"]
)
async def test_no_other_ref_is_changed_and_the_reason_is_said(place: Place, ref: str) -> None:
    clone, before = await place.cloned(), place.refs()
    await place.committed(clone)
    code, said = await place.git("push", "--force", "origin", f"HEAD:{ref}", who=place.owner, cwd=clone)
    assert (code != 0, "only branches task/" in said) == (True, True), said
    assert place.refs() == before


async def test_with_a_branch_of_a_task_no_other_ref_slips_in(place: Place) -> None:
    clone, before = await place.cloned(), place.refs()
    await place.committed(clone)
    code, _ = await place.git("push", "origin", f"HEAD:{TASK}", "HEAD:main", who=place.owner, cwd=clone)
    assert code != 0
    assert place.refs() == before


async def test_git_itself_refuses_what_the_words_would_let_pass(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.git.push_rules.refused_refs", lambda begin: [])
    clone, before = await place.cloned(), place.refs()
    await place.committed(clone)
    for ref in ("refs/heads/main", "refs/heads/other"):
        code, said = await place.git("push", "--force", "origin", f"HEAD:{ref}", who=place.owner, cwd=clone)
        assert code != 0, said
    assert place.refs() == before


async def test_whoever_only_looks_does_not_push_and_an_archived_project_takes_nothing(place: Place) -> None:
    clone, before = await place.cloned(), place.refs()
    viewer_id, viewer = await place.api.new_user()
    row = "INSERT INTO memberships (user_id, subject_kind, subject_id, role, created_at) VALUES ($1, $2, $3, $4, now())"
    await place.api.rows(row, viewer_id, "project", place.project_id, "viewer")
    code, said = await place.git("fetch", "origin", who=viewer, cwd=clone)
    assert code == 0, said
    code, said = await place.git("push", "origin", f"HEAD:{TASK}", who=viewer, cwd=clone)
    assert (code != 0, "Only an owner or an editor" in said) == (True, True), said
    body = {"archived": True}
    await place.api.http.patch(f"/projects/{place.project_id}", json=body, headers=place.owner)
    code, said = await place.git("push", "origin", f"HEAD:{TASK}", who=place.owner, cwd=clone)
    assert (code != 0, "archived" in said) == (True, True), said
    assert place.refs() == before


async def test_only_the_two_services_of_git_are_there(place: Place) -> None:
    path = httpx.URL(place.url).path
    for below in ("HEAD", "config", "objects/info/packs", "info/refs", "info/refs?service=git-upload-archive"):
        reply = await place.api.http.get(f"{path}/{below}", headers=place.owner)
        assert reply.status_code in {404, 405, 422}, below
    reply = await place.api.http.post(f"{path}/git-upload-archive", headers=place.owner)
    assert reply.status_code in {404, 405, 422}
    for outside in (
        "/git/..%2f..%2fkeys.git/info/refs?service=git-upload-pack",
        "/git/x.git/info/refs?service=git-upload-pack",
    ):
        reply = await place.api.http.get(outside, headers=place.owner)
        assert reply.status_code in {404, 422}, outside


async def test_a_push_that_is_none_ends_with_words(place: Place) -> None:
    path = f"{httpx.URL(place.url).path}/git-receive-pack"
    zipped = {**place.owner, "Content-Encoding": "gzip"}
    for headers, body in ((place.owner, b""), (place.owner, b"00ff"), (zipped, b"0000")):
        reply = await place.api.http.post(path, content=body, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (422, "INVALID_INPUT"), (body, reply.text)
    basic = {"Authorization": "Basic " + base64.b64encode(b"x:wrong").decode()}
    reply = await place.api.http.post(path, content=b"0000", headers=basic)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Basic ")


def line(content: bytes) -> bytes:
    return b"%04x" % (len(content) + 4) + content


@pytest.mark.parametrize(
    ("begin", "refused"),
    [
        (b"", None),
        (b"00", None),
        (line(ZERO + b" " + ONE + b" refs/heads/main\0report-status"), None),
        (b"0000", []),
        (line(ZERO + b" " + ONE + b" refs/heads/task/eng-1\0report-status") + b"0000PACK", []),
        (line(b"shallow " + ONE) + line(ZERO + b" " + ONE + b" refs/heads/task/a\n") + b"0000", []),
        (line(ZERO + b" " + ONE + b" refs/heads/main\0x") + b"0000", ["refs/heads/main"]),
        (
            line(ZERO + b" " + ONE + b" refs/heads/task/a\0x") + line(ZERO + b" " + ONE + b" HEAD") + b"0000",
            ["the push"],
        ),
        (line(ZERO + b" " + ONE + b" refs/heads/task/") + b"0000", ["refs/heads/task/"]),
        (line(b"push-cert\0x") + b"0000", ["the push"]),
    ],
)
def test_the_commands_of_a_push_are_read_as_git_reads_them(begin: bytes, refused: list[str] | None) -> None:
    assert refused_refs(begin) == refused
