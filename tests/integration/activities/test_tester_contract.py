"""What holds for the tests of projects wherever they run: as processes and in containers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.departments import ScaffolderMessage
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.ids import verification_name
from contracts.steps import VerificationRequest
from contracts.suite_figures import SuiteFigures
from tests.support.eventually import eventually
from tests.support.services.runtimes import BRANCH, MAKEFILE, ONCE, REPOSITORY, Bench, git, working

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


@both_sides
async def test_green_tests_pass_once_for_all_who_ask(bench: Bench) -> None:
    request = bench.verification({"Makefile": MAKEFILE.format(f"{ONCE}; echo '= 3 passed ='")})
    results = await asyncio.gather(*(bench.verify(request) for _ in range(3)))
    assert [result.passed for result in results] == [True, True, True]
    assert len({result.model_dump_json() for result in results}) == 1
    assert await bench.verify(request) == results[0]
    assert results[0].report is not None
    assert b"3 passed" in await bench.artifacts.read(results[0].report)
    name = verification_name(request.task_id, request.commit)
    assert not await bench.runtime.alive(name)
    assert bench.runtime.copies(name) == []


@both_sides
async def test_red_tests_are_named_with_a_fingerprint_that_stays(bench: Bench) -> None:
    red = MAKEFILE.format("echo 'FAILED tests/test_a.py::test_b - assert 1 == 2'; echo $(CURDIR)/tests; exit 1")
    first = await bench.verify(bench.verification({"Makefile": red}))
    second = await bench.verify(bench.verification({"Makefile": red, "other.txt": "x"}))
    assert (first.passed, first.failure_class, first.exit_code) == (False, "code", 2)
    assert "tests/test_a.py::test_b" in first.evidence
    assert "\n./tests\n" in first.evidence, "a path of the machine"
    assert first.fingerprint == second.fingerprint


@processes_in_the_gate
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
    result = await bench.verify(bench.verification(files))
    assert (result.passed, result.failure_class) == (False, "code")
    assert evidence in result.evidence
    assert result.fingerprint


@processes_in_the_gate
async def test_trouble_of_the_machine_is_tried_again_by_the_next_call(bench: Bench) -> None:
    """The recipe kills the `make` above it, as the out-of-memory killer would."""
    request = bench.verification({"Makefile": MAKEFILE.format(f'echo "ERROR $$({ONCE})"; kill -9 $$PPID; sleep 5')})
    for runs in (1, 2):
        assert await trouble(bench, request) in {"infrastructure", ErrorCode.TESTER_LOST}
        assert len(set(bench.said)) == runs


async def trouble(bench: Bench, request: VerificationRequest) -> str | None:
    """Why there is no verdict on the code: in containers a kill from outside is an error."""
    try:
        return (await bench.verify(request)).failure_class
    except OrchestratorError as error:
        return error.code


@processes_in_the_gate
@pytest.mark.parametrize("said", ["No space left on device", "Temporary failure in name resolution"])
async def test_what_an_assertion_says_is_no_trouble_of_the_machine(bench: Bench, said: str) -> None:
    result = await bench.verify(bench.verification({"Makefile": MAKEFILE.format(f"echo 'E  {said}'; exit 1")}))
    assert (result.passed, result.failure_class) == (False, "code")
    assert said in result.evidence


PYTEST = {
    "Makefile": MAKEFILE.format("$(VENV)/bin/python -m pytest -q; code=$$?; {}; exit $$code"),
    "requirements.txt": "pytest\n",
    "test_a.py": "def test_a():\n    assert 'No space left on device' == {!r}\n",
}


@processes_in_the_gate
@pytest.mark.parametrize(
    "after",
    [
        pytest.param("seq 300", id="300 lines"),
        pytest.param("head -c 25000000 /dev/zero", id="25 MB", marks=pytest.mark.deep),
    ],
)
async def test_what_is_printed_after_the_summary_hides_no_result(bench: Bench, after: str) -> None:
    files = {**PYTEST, "Makefile": PYTEST["Makefile"].format(after)}
    for told, passed in (("No space left on device", True), ("another text", False)):
        request = bench.verification({**files, "test_a.py": PYTEST["test_a.py"].format(told)})
        result = await bench.verify(request)
        assert (result.passed, result.failure_class) == (passed, None if passed else "code"), result.evidence
        assert passed or "test_a" in result.evidence
        assert await bench.verify(request) == result, "a later call judges alike"


COVERED = '<coverage lines-valid="8" lines-covered="7"/>'


@both_sides
async def test_what_the_tests_cover_is_read_from_what_they_write_and_from_nothing_older(bench: Bench) -> None:
    writes = f"echo '{COVERED}' >coverage.xml; echo '= 3 passed ='"
    request = bench.verification({"Makefile": MAKEFILE.format(writes)})
    result = await bench.verify(request)
    assert result.passed
    assert result.figures == SuiteFigures(lines_covered_permille=875)
    assert await bench.verify(request) == result, "a later call knows it too"
    silent = {"Makefile": MAKEFILE.format("echo '= 3 passed ='"), "coverage.xml": COVERED}
    result = await bench.verify(bench.verification(silent))
    assert (result.passed, result.figures) == (True, None)


@processes_in_the_gate
@pytest.mark.parametrize(
    "writes",
    [
        "ln -s /etc/passwd coverage.xml",
        "mkdir coverage.xml",
        "mkfifo coverage.xml",
        "echo '<html/>' >coverage.xml",
        "head -c 9000000 /dev/zero >coverage.xml",
    ],
)
async def test_a_coverage_that_is_none_fails_nothing(bench: Bench, writes: str) -> None:
    result = await bench.verify(bench.verification({"Makefile": MAKEFILE.format(f"{writes}; echo '= 3 passed ='")}))
    assert (result.passed, result.figures) == (True, None), result.evidence


async def test_the_tests_see_the_files_of_the_commit_and_no_platform_secrets(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "platform-secret")
    request = bench.verification({"Makefile": MAKEFILE.format("ls -a; env; echo '= 1 passed ='"), "a.txt": "a"})
    result = await bench.verify(request)
    assert result.report is not None
    output = (await bench.artifacts.read(result.report)).decode()
    assert "a.txt" in output
    assert not any(word in output for word in (".git\n", "platform-secret", "PIP_"))


async def hanging(bench: Bench) -> tuple[VerificationRequest, asyncio.Task[object], str]:
    """Tests that never end, and are running."""
    hangs = MAKEFILE.format(f'echo "ERROR hangs $$({ONCE})"; sleep 613')
    request = bench.verification({"Makefile": hangs})
    running: asyncio.Task[object] = asyncio.ensure_future(bench.verify(request))
    await eventually(lambda: len(bench.said) == 1, timeout=60)
    return request, running, verification_name(request.task_id, request.commit)


async def test_a_second_attempt_adopts_running_tests(bench: Bench) -> None:
    request, running, name = await hanging(bench)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await bench.runtime.alive(name)
    again = asyncio.ensure_future(bench.verify(request))
    await eventually(lambda: len(bench.said) == 2)
    assert bench.said[0] == bench.said[1], "they were run again"
    assert bench.events[0].key == bench.events[1].key
    await bench.runtime.tester().stop(request)
    with pytest.raises(OrchestratorError):
        await again


async def test_stopped_tests_leave_nothing_and_stay_stopped(bench: Bench) -> None:
    request, running, name = await hanging(bench)
    await bench.runtime.tester().stop(request)
    assert not await bench.runtime.alive(name)
    assert bench.runtime.copies(name) == []
    for attempt in (running, bench.verify(request)):
        with pytest.raises(OrchestratorError) as stopped:
            await attempt
        assert stopped.value.code is ErrorCode.STOPPED_BY_PERSON


async def test_tests_that_ended_unfollowed_leave_nothing_after_a_stop(bench: Bench) -> None:
    request = bench.verification({"Makefile": MAKEFILE.format("echo 'ERROR soon over'; sleep 2")})
    following: asyncio.Task[object] = asyncio.ensure_future(bench.verify(request))
    await eventually(lambda: bench.said == ["ERROR soon over"], timeout=60)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    name = verification_name(request.task_id, request.commit)

    async def over() -> bool:
        return not await bench.runtime.alive(name)

    _: bool = await eventually(over)
    await bench.runtime.tester().stop(request)
    assert bench.runtime.copies(name) == []


async def test_tests_that_were_killed_from_outside_are_run_again(bench: Bench) -> None:
    request, running, name = await hanging(bench)
    await bench.runtime.kill(name)
    with pytest.raises(OrchestratorError) as lost:
        await running
    assert (lost.value.code, lost.value.error_class) == (ErrorCode.TESTER_LOST, ErrorClass.TRANSIENT)
    again = asyncio.ensure_future(bench.verify(request))
    await eventually(lambda: len(set(bench.said)) == 2, timeout=30, message="a second run")
    await bench.runtime.tester().stop(request)
    with pytest.raises(OrchestratorError):
        await again


@processes_in_the_gate
async def test_checks_over_their_time_are_a_failure_of_the_code(bench: Bench) -> None:
    result = await bench.verify(bench.verification({"Makefile": MAKEFILE.format("sleep 613")}, timeout_s=1))
    assert (result.passed, result.failure_class) == (False, "code")
    assert "within 1 s" in result.evidence


async def test_a_commit_that_the_forge_does_not_have_is_refused(bench: Bench) -> None:
    bench.commit({"Makefile": MAKEFILE.format("true")})
    with pytest.raises(OrchestratorError) as refused:
        await bench.verify(bench.verification_of("e" * 40))
    assert refused.value.code is ErrorCode.COMMIT_NOT_ON_REMOTE


async def test_packages_are_installed_once_and_found_by_the_projects_own_makefile(bench: Bench) -> None:
    installer = "importlib.metadata.distribution('iniconfig').read_text('INSTALLER').strip()"
    made = "os.stat(iniconfig.__file__).st_ino, os.stat(iniconfig.__file__).st_ctime_ns"
    look = f"import importlib.metadata, iniconfig, os; print('made by', {installer}, {made})"
    files = {
        "Makefile": MAKEFILE.format(f"$(VENV)/bin/python -c \"{look}\"; echo '= 1 passed ='"),
        "requirements.txt": "iniconfig\n",
    }
    found = set()
    for _ in range(2):
        result = await bench.verify(bench.verification(files))
        assert result.passed, result.evidence
        assert result.report is not None
        lines = (await bench.artifacts.read(result.report)).decode().splitlines()
        found |= {line for line in lines if line.startswith("made by uv ")}
    assert len(found) == 1


@processes_in_the_gate
async def test_a_package_that_does_not_exist_is_the_projects_fault(bench: Bench) -> None:
    files = {"Makefile": MAKEFILE.format("true"), "requirements.txt": "iniconfig==0.0.999\n"}
    result = await bench.verify(bench.verification(files))
    assert (result.passed, result.failure_class) == (False, "code")
    assert "cannot be installed" in result.evidence


@pytest.mark.deep
@pytest.mark.timeout(600)
async def test_a_fresh_project_passes_and_a_broken_test_is_named(bench: Bench, tmp_path: Path) -> None:
    fresh = await bench.forge.scaffold(
        ScaffolderMessage(project_id="p1", repo_full_name=REPOSITORY, project_name="shop", modules=["backend"])
    )
    passed = await bench.verify(bench.verification_of(fresh.commit, timeout_s=300))
    assert (passed.passed, passed.exit_code, passed.failure_class) == (True, 0, None), passed.evidence
    work = tmp_path / "work"
    git(tmp_path, "clone", "--quiet", str(bench.forge.mirror(REPOSITORY).directory), str(work))
    (work / "tests" / "test_broken.py").write_text("def test_is_broken() -> None:\n    assert 1 == 2\n")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "Break")
    git(work, "push", "--quiet", "origin", f"HEAD:{BRANCH}")
    broken = bench.verification_of(git(work, "rev-parse", "HEAD"), timeout_s=300)
    failed = await bench.verify(broken)
    assert (failed.passed, failed.failure_class) == (False, "code")
    assert "tests/test_broken.py::test_is_broken" in failed.evidence
    assert await bench.verify(broken) == failed
