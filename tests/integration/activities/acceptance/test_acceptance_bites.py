"""Twelve commits that pass their own tests and miss the wish in one point are refused, with the criterion named."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.adapters.acceptance.jobs import Means
from contracts.criteria import not_built
from tests.support.services.bookshelf import (
    CHECKS,
    CRITERIA,
    MISSES,
    RIGHT,
    STEPS,
    Files,
    built,
    changed,
    missing,
)
from tests.support.services.runtimes import Bench, working
from tests.support.services.wishes import accept, asked

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return built(tmp_path_factory.mktemp("bookshelf"))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with working(tmp_path, "docker") as one:
        yield one


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.fixture
async def here(tmp_path: Path, caches: Path) -> AsyncIterator[Bench]:
    """Processes, with what only containers have otherwise, and packages that all have together."""
    (tmp_path / "caches").symlink_to(caches)
    async with working(tmp_path, "process") as one:
        yield one


ON_THIS_MACHINE = Means("/usr/bin/chromium", sys.executable)


@pytest.mark.parametrize("name", MISSES)
async def test_the_same_checks_bite_as_processes(here: Bench, files: Files, name: str) -> None:
    commit = here.commit(missing(files, MISSES[name]))
    result = await accept(here, asked(commit, CHECKS, criteria=CRITERIA, timeout_s=300), ON_THIS_MACHINE)
    assert {one.id for one in not_built(result.criteria)} == set(MISSES[name].criteria), result.evidence


@pytest.mark.parametrize("name", RIGHT)
async def test_right_commits_are_accepted_as_processes(here: Bench, files: Files, name: str) -> None:
    commit = here.commit(changed(files, RIGHT[name]))
    result = await accept(here, asked(commit, CHECKS, criteria=CRITERIA, timeout_s=300), ON_THIS_MACHINE)
    assert result.passed, result.evidence
    assert {one.state.value for one in result.criteria} == {"met"}


def test_there_are_twelve_and_three_miss_what_plans_drop() -> None:
    assert len(MISSES) >= 12
    assert sum(miss.dropped for miss in MISSES.values()) == 3
    assert {name for miss in MISSES.values() for name in miss.criteria} == set(STEPS), "each criterion bites"


@pytest.mark.parametrize("name", MISSES)
async def test_a_commit_that_misses_one_point_is_refused_and_the_point_named(
    bench: Bench, files: Files, name: str
) -> None:
    commit = bench.commit(missing(files, MISSES[name]))
    tested = await bench.verify(bench.verification_of(commit, timeout_s=300))
    assert tested.passed, tested.evidence
    result = await accept(bench, asked(commit, CHECKS, criteria=CRITERIA, timeout_s=300))
    missed = not_built(result.criteria)
    assert {one.id for one in missed} == set(MISSES[name].criteria), result.evidence
    assert not result.passed
    assert all(one.sentence in result.evidence or "does not run" in result.evidence for one in missed)


@pytest.mark.parametrize("name", RIGHT)
async def test_a_right_commit_is_accepted_with_its_pictures(bench: Bench, files: Files, name: str) -> None:
    commit = bench.commit(changed(files, RIGHT[name]))
    result = await accept(bench, asked(commit, CHECKS, criteria=CRITERIA, timeout_s=300))
    assert result.passed, result.evidence
    assert {one.state.value for one in result.criteria} == {"met"}
    assert [one.name for one in result.screenshots] == ["01-books.png", "02-added.png"]
    picture = await bench.artifacts.read(result.screenshots[0].artifact)
    assert picture.startswith(b"\x89PNG")


async def test_a_later_change_that_breaks_an_earlier_promise_is_refused(bench: Bench, files: Files) -> None:
    """The checks of before are asked again, beside those of the new wish."""
    first = changed(files, RIGHT["as it was wished"])
    assert (await accept(bench, asked(bench.commit(first), CHECKS, criteria=CRITERIA, timeout_s=300))).passed
    later = {path: text for path, text in first.items() if "about" not in path}
    result = await accept(bench, asked(bench.commit(later), CHECKS, criteria=CRITERIA, timeout_s=300))
    assert [one.id for one in not_built(result.criteria)] == ["about"]


async def test_the_services_reach_nothing_but_themselves_and_cannot_touch_the_checks(
    bench: Bench, files: Files
) -> None:
    """What the code of the commit could try from where it runs."""
    spying = dict(changed(files, RIGHT["as it was wished"]))
    spying["services/backend/routes/spy.py"] = SPY
    result = await accept(bench, asked(bench.commit(spying), CHECKS, criteria=CRITERIA, timeout_s=300))
    assert result.passed
    assert result.report is not None
    log = (await bench.artifacts.read(result.report)).decode()
    assert "SPY interfaces: ['lo']" in log
    assert "SPY runner: False" in log
    assert "SPY host: False" in log


SPY = """
import os, pathlib, socket

from fastapi import APIRouter

router = APIRouter()


def reaches(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


commands = [path.read_text(errors="replace") for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")]
print("SPY interfaces:", [name for _, name in socket.if_nameindex()], flush=True)
print("SPY runner:", any("acceptance_runner\\0" in one for one in commands), flush=True)
print("SPY host:", any(reaches(host, 22) or reaches(host, 53) for host in ("172.17.0.1", "8.8.8.8")), flush=True)
"""
