"""What holds for agents, workspaces and tests wherever they run: as processes and in containers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.adapters.docker_engine import obstacle
from activities.adapters.docker_images import BASE_IMAGE
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.ids import turn_name, verification_name
from contracts.steps import VerificationRequest
from tests.support.eventually import eventually
from tests.support.runtimes import BRANCH, MAKEFILE, REPOSITORY, Bench, git

IN_CI = os.environ.get("CI", "").lower() in {"true", "1"}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(params=["process", "docker"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    problem = obstacle(BASE_IMAGE, timeout_s=5) if request.param == "docker" else None
    if problem is not None:
        # In CI `make docker` installs one, so its absence is a failure and no reason to skip.
        assert not IN_CI, f"CI needs Docker, but {problem}"
        pytest.skip(f"NOT TESTED IN CONTAINERS: {problem}")
    one = Bench.make(tmp_path, request.param)
    yield one
    await one.runtime.close()


# --- turns


async def test_a_turn_gives_what_the_agent_said_spent_and_left(bench: Bench) -> None:
    await bench.prepare()
    done = await bench.turn({"outcome": {"status": "done", "summary": "built it", "files": ["a.py"]}})
    assert (done.status, done.summary, done.files_changed) == ("done", "built it", ["a.py"])
    assert (done.session_id, done.cost_usd, done.input_tokens, done.output_tokens) == ("session-1", 0.25, 5, 3)
    assert bench.said == ["thinking"]
    assert done.transcript is not None
    assert b'"all good"' in await bench.artifacts.read(done.transcript)


async def test_nothing_runs_after_a_turn(bench: Bench) -> None:
    await bench.prepare()
    await bench.turn({"runs": ["(setsid sleep 613 >/dev/null 2>&1 &)"]})
    assert not await bench.runtime.alive(turn_name(bench.worker, 1))


async def test_a_second_attempt_adopts_a_running_turn_and_reports_only_what_is_new(bench: Bench) -> None:
    await bench.prepare()
    request = bench.request({"says": "early", "waits": True})
    attempt = asyncio.ensure_future(bench.runtime.agent().run_turn(request, bench.follow()))
    await eventually(lambda: bench.said == ["early"])
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    assert await bench.runtime.alive(turn_name(bench.worker, 1))
    again = asyncio.ensure_future(bench.runtime.agent().run_turn(request, bench.follow(bench.offsets[-1])))
    await bench.write("go")
    assert (await again).status == "done"
    assert bench.said == ["early"]
    assert await bench.told("cat ~/runs.log") == "None\nNone"


async def test_a_turn_that_has_ended_is_read_again_and_not_repeated(bench: Bench) -> None:
    await bench.prepare()
    prompt: dict[str, object] = {"outcome": {"status": "done", "summary": "once"}}
    first = await bench.turn(prompt)
    keys = [event.key for event in bench.events]
    bench.events.clear()
    assert await bench.turn(prompt) == first
    assert [event.key for event in bench.events] == keys
    assert await bench.told("wc -l < ~/runs.log") == "2"


async def test_three_attempts_at_once_run_one_agent(bench: Bench) -> None:
    await bench.prepare()
    request = bench.request({})
    results = await asyncio.gather(*(bench.runtime.agent().run_turn(request, bench.follow()) for _ in range(3)))
    assert len({result.model_dump_json() for result in results}) == 1
    assert await bench.told("wc -l < ~/runs.log") == "2"


async def test_a_question_comes_back_with_its_choices(bench: Bench) -> None:
    await bench.prepare()
    asked = await bench.turn({"outcome": {"status": "question", "question": "Which?", "choices": ["a", "b"]}})
    assert (asked.status, asked.question, asked.choices) == ("question", "Which?", ["a", "b"])


async def test_an_agent_that_failed_cannot_claim_to_be_done(bench: Bench) -> None:
    await bench.prepare()
    failed = await bench.turn({"exit": 3, "outcome": {"status": "done", "summary": "great"}})
    assert failed.status == "failed"


async def test_a_turn_over_its_time_is_ended_with_all_that_it_started(bench: Bench) -> None:
    await bench.prepare()
    for _ in range(2):
        with pytest.raises(OrchestratorError) as failed:
            await bench.turn({"hangs": True}, timeout_s=2)
        assert (failed.value.code, failed.value.retryable) == (ErrorCode.AGENT_FAILED, False)
        assert failed.value.details["transcript"].startswith("artifact://")
    assert not await bench.runtime.alive(turn_name(bench.worker, 1))


async def test_a_stopped_turn_leaves_nothing_and_is_not_started_again(bench: Bench) -> None:
    await bench.prepare()
    request = bench.request({"hangs": True})
    running = asyncio.ensure_future(bench.runtime.agent().run_turn(request, bench.follow()))
    await eventually(lambda: bench.said == ["thinking"])
    await bench.runtime.agent().stop_turn(request)
    assert not await bench.runtime.alive(turn_name(bench.worker, 1))
    for attempt in (running, bench.runtime.agent().run_turn(request, bench.follow())):
        with pytest.raises(OrchestratorError) as stopped:
            await attempt
        assert stopped.value.code is ErrorCode.STOPPED_BY_PERSON
    assert await bench.told("wc -l < ~/runs.log") == "2"


async def test_a_turn_that_was_killed_from_outside_is_lost_and_not_paid_twice(bench: Bench) -> None:
    await bench.prepare()
    request = bench.request({"hangs": True})
    running = asyncio.ensure_future(bench.runtime.agent().run_turn(request, bench.follow()))
    await eventually(lambda: bench.said == ["thinking"])
    await bench.runtime.kill(turn_name(bench.worker, 1))
    for attempt in (running, bench.runtime.agent().run_turn(request, bench.follow())):
        with pytest.raises(OrchestratorError) as lost:
            await attempt
        assert (lost.value.code, lost.value.retryable) == (ErrorCode.AGENT_LOST, False)
    assert await bench.told("wc -l < ~/runs.log") == "2"


async def test_the_home_outlives_a_turn_so_that_a_session_is_resumed(bench: Bench) -> None:
    await bench.prepare()
    first = await bench.turn({})
    second = await bench.turn({}, turn=2, session_id=first.session_id)
    assert (second.status, second.fresh_context) == ("done", False)
    assert await bench.told("cat ~/runs.log") == "None\nsession-1\nNone"


async def test_an_unknown_session_is_started_fresh_exactly_once(bench: Bench) -> None:
    await bench.prepare()
    first = await bench.turn({}, session_id="forgotten")
    again = await bench.turn({}, session_id="forgotten")
    assert (first.status, first.fresh_context, first.session_id) == ("done", True, "session-1")
    assert again == first
    assert await bench.told("cat ~/runs.log") == "forgotten\nNone\nNone"


async def test_the_agents_variables_reach_it_and_nothing_of_the_platform_does(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "platform-secret")
    await bench.prepare()
    variables = {"SHOP_TOKEN": 'it\'s $a "token"', "LD_PRELOAD": "/evil.so", "HOME": "/root"}
    done = await bench.turn({"tells": "repr(sorted(os.environ))", "runs": ["echo $SHOP_TOKEN"]}, env_vars=variables)
    assert "SHOP_TOKEN" in bench.said[1]
    assert not {"LD_PRELOAD", "ANTHROPIC_API_KEY"} & set(bench.said[1].split("'"))
    assert bench.said[2] == "0: [hidden]"
    assert done.transcript is not None
    assert b"$a" not in await bench.artifacts.read(done.transcript)


async def test_a_turn_without_a_workspace_is_refused(bench: Bench) -> None:
    with pytest.raises(OrchestratorError) as refused:
        await bench.turn({})
    assert refused.value.code is ErrorCode.NOT_FOUND


# --- workspaces

COMMIT = "git add --all && git commit --quiet --message Work && git rev-parse HEAD"


async def test_the_platform_takes_the_agents_head_and_a_repeat_says_the_same(bench: Bench) -> None:
    base = (await bench.prepare()).base_commit
    head = await bench.told(f"git remote; echo x > feature.txt; {COMMIT}")
    first = await bench.runtime.workspaces().push(bench.pushing(base))
    assert first == await bench.runtime.workspaces().push(bench.pushing(base))
    assert (first.commit, first.base_commit, first.files_changed) == (head, base, ["feature.txt"])
    assert git(bench.forge.path(REPOSITORY), "rev-parse", BRANCH) == head
    assert git(bench.forge.path(REPOSITORY), "rev-parse", "main") == base


async def test_preparing_again_keeps_what_the_agent_has_done(bench: Bench) -> None:
    first = await bench.prepare()
    await bench.write("draft.txt", "unfinished")
    assert await bench.prepare() == first
    assert await bench.told("cat draft.txt") == "unfinished"


async def test_a_turn_without_commits_gives_the_base_commit(bench: Bench) -> None:
    base = (await bench.prepare()).base_commit
    await bench.write("TASK.md", "Do something")
    pushed = await bench.runtime.workspaces().push(bench.pushing(base))
    assert (pushed.commit, pushed.files_changed) == (base, [])
    assert await bench.told("git status --porcelain") == ""


async def test_commits_that_do_not_build_on_the_base_are_refused(bench: Bench) -> None:
    base = (await bench.prepare()).base_commit
    await bench.told(f"git checkout --quiet --orphan other && {COMMIT}")
    with pytest.raises(OrchestratorError) as refused:
        await bench.runtime.workspaces().push(bench.pushing(base))
    assert refused.value.code is ErrorCode.REPOSITORY_DIVERGED
    assert BRANCH not in git(bench.forge.path(REPOSITORY), "branch", "--list")


@pytest.mark.parametrize("damage", ["rm -rf .git", "rm -rf .git && ln -s /tmp .git", "git update-ref -d HEAD"])
async def test_a_repository_that_cannot_be_read_is_refused_with_the_reason(bench: Bench, damage: str) -> None:
    base = (await bench.prepare()).base_commit
    await bench.told(damage)
    with pytest.raises(OrchestratorError) as refused:
        await bench.runtime.workspaces().push(bench.pushing(base))
    assert refused.value.code is ErrorCode.GIT_FAILED


async def test_files_arrive_as_the_agents_own_and_a_repeat_replaces_them(bench: Bench) -> None:
    await bench.prepare()
    await bench.write("docs/new/wish.md", "one")
    await bench.write("docs/new/wish.md", "two")
    assert await bench.told("cat docs/new/wish.md; rm -r docs && echo gone") == "twogone"


@pytest.mark.parametrize("path", ["../out", "/out", ".git/config", "a//b", "folder/file"])
async def test_a_path_that_is_not_plainly_inside_is_refused(bench: Bench, path: str) -> None:
    await bench.prepare()
    await bench.told("ln -s /tmp folder")
    with pytest.raises(OrchestratorError) as refused:
        await bench.write(path)
    assert refused.value.code is ErrorCode.INVALID_INPUT


async def test_a_new_workspace_goes_on_where_the_pushed_branch_is(bench: Bench) -> None:
    base = (await bench.prepare()).base_commit
    head = await bench.told(f"echo x > feature.txt; {COMMIT}")
    await bench.runtime.workspaces().push(bench.pushing(base))
    for _ in range(2):
        await bench.runtime.workspaces().remove(bench.worker)
    with pytest.raises(OrchestratorError) as refused:
        await bench.write("a")
    assert refused.value.code is ErrorCode.NOT_FOUND
    assert (await bench.prepare()).base_commit == base
    assert await bench.told("git rev-parse HEAD", turn=91) == head


# --- tests


async def test_green_tests_pass_once_for_all_who_ask(bench: Bench) -> None:
    request = bench.verification({"Makefile": MAKEFILE.format("echo '= 3 passed ='")})
    results = await asyncio.gather(*(bench.verify(request) for _ in range(3)))
    assert [result.passed for result in results] == [True, True, True]
    assert await bench.verify(request) == results[0]
    assert results[0].report is not None
    assert b"3 passed" in await bench.artifacts.read(results[0].report)
    assert not await bench.runtime.alive(verification_name(request.task_id, request.commit))


async def test_red_tests_are_named_with_a_fingerprint_that_stays(bench: Bench) -> None:
    red = MAKEFILE.format("echo 'FAILED tests/test_a.py::test_b - assert 1 == 2'; exit 1")
    first = await bench.verify(bench.verification({"Makefile": red}))
    second = await bench.verify(bench.verification({"Makefile": red, "other.txt": "x"}))
    assert (first.passed, first.failure_class, first.exit_code) == (False, "code", 2)
    assert "tests/test_a.py::test_b" in first.evidence
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize(
    ("files", "evidence"),
    [
        ({"README.md": "x"}, "There is no Makefile"),
        ({"Makefile": MAKEFILE.format("true")}, "no test was executed"),
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


async def test_trouble_of_the_machine_is_tried_again_by_the_next_call(bench: Bench) -> None:
    request = bench.verification({"Makefile": MAKEFILE.format("echo 'No space left on device'; exit 1")})
    first = await bench.verify(request)
    assert (first.passed, first.failure_class) == (False, "infrastructure")
    before = len(bench.offsets)
    again = await bench.verify(request)
    assert again.failure_class == "infrastructure"
    assert len(bench.offsets) > before


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
    request = bench.verification({"Makefile": MAKEFILE.format("echo 'ERROR hangs'; sleep 613")})
    running: asyncio.Task[object] = asyncio.ensure_future(bench.verify(request))
    await eventually(lambda: bench.said == ["ERROR hangs"], timeout=60)
    return request, running, verification_name(request.task_id, request.commit)


async def test_a_second_attempt_adopts_running_tests(bench: Bench) -> None:
    request, running, name = await hanging(bench)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await bench.runtime.alive(name)
    again = asyncio.ensure_future(bench.verify(request))
    await eventually(lambda: bench.said == ["ERROR hangs", "ERROR hangs"])
    assert bench.events[0].key == bench.events[1].key
    await bench.runtime.tester().stop(request)
    with pytest.raises(OrchestratorError):
        await again


async def test_stopped_tests_leave_nothing_and_stay_stopped(bench: Bench) -> None:
    request, running, name = await hanging(bench)
    await bench.runtime.tester().stop(request)
    assert not await bench.runtime.alive(name)
    for attempt in (running, bench.verify(request)):
        with pytest.raises(OrchestratorError) as stopped:
            await attempt
        assert stopped.value.code is ErrorCode.STOPPED_BY_PERSON


async def test_tests_that_ended_while_nobody_followed_leave_nothing_after_a_stop(bench: Bench) -> None:
    request = bench.verification({"Makefile": MAKEFILE.format("echo 'ERROR soon over'; sleep 2")})
    following: asyncio.Task[object] = asyncio.ensure_future(bench.verify(request))
    await eventually(lambda: bench.said == ["ERROR soon over"], timeout=60)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    name = verification_name(request.task_id, request.commit)

    async def over() -> bool:
        return not await bench.runtime.alive(name)

    _: bool = await eventually(over, timeout=30)
    await bench.runtime.tester().stop(request)
    assert bench.runtime.copies(name) == []


async def test_tests_that_were_killed_from_outside_are_run_again(bench: Bench) -> None:
    request, running, name = await hanging(bench)
    await bench.runtime.kill(name)
    with pytest.raises(OrchestratorError) as lost:
        await running
    assert (lost.value.code, lost.value.error_class) == (ErrorCode.TESTER_LOST, ErrorClass.TRANSIENT)
    again = asyncio.ensure_future(bench.verify(request))
    await eventually(lambda: bench.said == ["ERROR hangs", "ERROR hangs"], timeout=30)
    await bench.runtime.tester().stop(request)
    with pytest.raises(OrchestratorError):
        await again


async def test_checks_over_their_time_are_a_failure_of_the_code(bench: Bench) -> None:
    result = await bench.verify(bench.verification({"Makefile": MAKEFILE.format("sleep 613")}, timeout_s=1))
    assert (result.passed, result.failure_class) == (False, "code")
    assert "within 1 s" in result.evidence


async def test_a_commit_that_the_forge_does_not_have_is_refused(bench: Bench) -> None:
    bench.commit({"Makefile": MAKEFILE.format("true")})
    with pytest.raises(OrchestratorError) as refused:
        await bench.verify(bench.verification_of("e" * 40))
    assert refused.value.code is ErrorCode.COMMIT_NOT_ON_REMOTE
