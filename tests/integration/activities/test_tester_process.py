"""The Tester: a project's own checks at an exact commit, once, in a place that is gone afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from activities.adapters.copier_scaffold import CopierScaffolder
from activities.adapters.local_forge import LocalBareForge
from activities.adapters.process_tester import ProcessTester
from activities.adapters.supervision import Supervisor
from activities.adapters.unprivileged import UnprivilegedUsers
from activities.ports import Follow
from contracts.departments import ScaffolderMessage
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.ids import verification_name
from contracts.progress import FineEvent
from contracts.steps import VerificationRequest, VerificationResult
from runtime.artifacts import DirectoryArtifactStore
from tests.support.eventually import eventually

MAKEFILE = "setup check:\n\t@true\ntest:\n\t@{}\n"


class Bench:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.supervisor = Supervisor(root / "runs")
        self.forge = LocalBareForge(root / "forge", CopierScaffolder())
        self.artifacts = DirectoryArtifactStore(root / "artifacts")
        self.events: list[FineEvent] = []
        self.beats = 0

    def tester(self) -> ProcessTester:
        return ProcessTester(
            Supervisor(self.root / "runs"), self.forge, self.root / "verifications", self.root / "caches",
            UnprivilegedUsers([self.root]), self.artifacts,
        )  # fmt: skip

    def project(self, files: dict[str, str]) -> VerificationRequest:
        """A repository with these files; the request to verify its only commit."""
        bare = self.forge.path("u1/thing")
        work = self.root / f"work-{uuid4().hex[:6]}"
        work.mkdir()
        git(work, "init", "--quiet", "--initial-branch=main")
        for path, content in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(content)
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--message", "All")
        bare.mkdir(parents=True, exist_ok=True)
        git(bare, "init", "--quiet", "--bare")
        git(work, "push", "--quiet", "--force", str(bare), "HEAD:main")
        return self.request("u1/thing", git(work, "rev-parse", "HEAD"))

    def request(self, repository: str, commit: str) -> VerificationRequest:
        return VerificationRequest(
            task_id=f"eng-{uuid4().hex[:8]}", project_id="p1", repository=repository, commit=commit, timeout_s=100
        )

    async def verify(self, request: VerificationRequest) -> VerificationResult:
        async def report(events: list[FineEvent], _: int) -> None:
            self.events += events
            self.beats += 1

        return await self.tester().verify(request, Follow(0, report))

    def place(self, request: VerificationRequest) -> Path:
        return self.root / "verifications" / verification_name(request.task_id, request.commit)


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=Somebody", "-c", "user.email=s@localhost", *arguments],
        cwd=directory, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    one = Bench(tmp_path)
    yield one
    for run in (tmp_path / "runs").iterdir() if (tmp_path / "runs").exists() else []:
        await one.supervisor.stop(run.name, grace_s=0)


@pytest.mark.timeout(600)
async def test_a_fresh_project_passes_and_a_broken_test_is_named(bench: Bench, tmp_path: Path) -> None:
    message = ScaffolderMessage(project_id="p1", repo_full_name="u1/shop", project_name="shop", modules=["backend"])
    fresh = (await bench.forge.scaffold(message)).commit
    passed = await bench.verify(bench.request("u1/shop", fresh))
    assert (passed.passed, passed.exit_code, passed.failure_class) == (True, 0, None), passed.evidence
    work = tmp_path / "work"
    git(tmp_path, "clone", "--quiet", str(bench.forge.path("u1/shop")), str(work))
    (work / "tests" / "test_broken.py").write_text("def test_is_broken() -> None:\n    assert 1 == 2\n")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "Break")
    git(work, "push", "--quiet", "origin", "HEAD:task/eng-1")
    broken = bench.request("u1/shop", git(work, "rev-parse", "HEAD"))
    failed = await bench.verify(broken)
    assert (failed.passed, failed.failure_class) == (False, "code")
    assert "tests/test_broken.py::test_is_broken" in failed.evidence
    assert str(bench.root) not in failed.evidence
    assert (await bench.verify(broken)) == failed
    assert len([path for path in (bench.root / "caches" / "venvs").iterdir() if path.is_dir()]) == 1


async def test_the_checks_run_once_and_the_copy_is_gone(bench: Bench, tmp_path: Path) -> None:
    request = bench.project({"Makefile": MAKEFILE.format(f"echo ran >> {tmp_path}/count; echo '= 3 passed ='")})
    results = await asyncio.gather(*(bench.verify(request) for _ in range(3)))
    assert [result.passed for result in results] == [True, True, True]
    assert await bench.verify(request) == results[0]
    assert (tmp_path / "count").read_text() == "ran\n"
    assert not bench.place(request).exists()
    assert results[0].report is not None
    assert b"3 passed" in await bench.artifacts.read(results[0].report)


async def test_the_tests_see_the_files_of_the_commit_and_no_platform_secrets(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "platform-secret")
    request = bench.project({"Makefile": MAKEFILE.format("ls -a; env; echo '= 1 passed ='"), "a.txt": "a"})
    result = await bench.verify(request)
    assert result.report is not None
    output = (await bench.artifacts.read(result.report)).decode()
    assert "a.txt" in output
    assert ".git\n" not in output
    assert "platform-secret" not in output
    assert "PIP_" not in output


@pytest.mark.parametrize(
    ("files", "evidence"),
    [
        ({"README.md": "x"}, "There is no Makefile"),
        ({"Makefile": MAKEFILE.format("true")}, "no test was executed"),
        ({"Makefile": MAKEFILE.format("echo 'no tests ran'; exit 5")}, "No tests were executed"),
        ({"Makefile": "setup:\n\t@true\n"}, "No rule to make target"),
        ({"Makefile": MAKEFILE.format("true"), "requirements.txt": "-e ./evil\n"}, "-e ./evil"),
    ],
)
async def test_a_project_that_cannot_be_verified_goes_back_with_the_reason(
    bench: Bench, files: dict[str, str], evidence: str
) -> None:
    result = await bench.verify(bench.project(files))
    assert (result.passed, result.failure_class) == (False, "code")
    assert evidence in result.evidence
    assert result.fingerprint


async def test_trouble_of_the_machine_is_tried_again_by_the_next_call(bench: Bench, tmp_path: Path) -> None:
    script = f"if mkdir {tmp_path}/first; then echo 'No space left on device'; exit 1; fi; echo '= 1 passed ='"
    request = bench.project({"Makefile": MAKEFILE.format(script)})
    first = await bench.verify(request)
    assert (first.passed, first.failure_class) == (False, "infrastructure")
    assert (await bench.verify(request)).passed


async def test_another_attempt_adopts_running_tests(bench: Bench, tmp_path: Path) -> None:
    script = f"echo ran >> {tmp_path}/count; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo '= 1 passed ='"
    request = bench.project({"Makefile": MAKEFILE.format(script)})
    attempt = asyncio.ensure_future(bench.verify(request))
    await eventually(lambda: (tmp_path / "count").exists())
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    again = asyncio.ensure_future(bench.verify(request))
    seen = bench.beats
    await eventually(lambda: bench.beats > seen + 1)
    (tmp_path / "go").touch()
    assert (await again).passed
    assert (tmp_path / "count").read_text() == "ran\n"


async def test_a_stop_leaves_no_process_and_no_copy(bench: Bench, tmp_path: Path) -> None:
    request = bench.project({"Makefile": MAKEFILE.format(f"echo $$$$ > {tmp_path}/pid; sleep 600")})
    running = asyncio.ensure_future(bench.verify(request))
    await eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    await bench.tester().stop(request)
    with pytest.raises(OrchestratorError) as stopped:
        await running
    assert stopped.value.code is ErrorCode.STOPPED_BY_PERSON
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
    assert not bench.place(request).exists()


async def test_tests_whose_supervisor_was_killed_are_run_again(bench: Bench, tmp_path: Path) -> None:
    script = f"if mkdir {tmp_path}/first; then sleep 600; fi; echo '= 1 passed ='"
    request = bench.project({"Makefile": MAKEFILE.format(script)})
    running = asyncio.ensure_future(bench.verify(request))
    await eventually(lambda: (tmp_path / "first").exists())
    name = verification_name(request.task_id, request.commit)
    record = json.loads((tmp_path / "runs" / name / "status.json").read_text())
    os.kill(record["supervisor_pid"], signal.SIGKILL)
    with pytest.raises(OrchestratorError) as lost:
        await running
    assert (lost.value.code, lost.value.error_class) == (ErrorCode.TESTER_LOST, ErrorClass.TRANSIENT)
    assert (await bench.verify(request)).passed


async def test_checks_over_their_time_are_a_failure_of_the_code(bench: Bench) -> None:
    request = bench.project({"Makefile": MAKEFILE.format("sleep 600")}).model_copy(update={"timeout_s": 1})
    result = await bench.verify(request)
    assert (result.passed, result.failure_class) == (False, "code")
    assert "within 1 s" in result.evidence


async def test_a_commit_that_the_forge_does_not_have_is_refused(bench: Bench) -> None:
    bench.project({"Makefile": MAKEFILE.format("true")})
    with pytest.raises(OrchestratorError) as refused:
        await bench.verify(bench.request("u1/thing", "e" * 40))
    assert refused.value.code is ErrorCode.COMMIT_NOT_ON_REMOTE
