"""Which promises are looked at beside a new wish."""

from contracts.acceptance import MAX_CHECKS, MAX_CHECKS_BYTES, AcceptanceCheck, AcceptanceRequest, HttpStep
from contracts.base import utc_now
from contracts.criteria import Criterion
from contracts.planning import KeptCheck, within_reach

CRITERION = Criterion(id="c", sentence="s")


def check(name: str, size: int = 0) -> AcceptanceCheck:
    step = HttpStep.model_validate({"path": "/", "text": "ж" * size, "expect": {"status": 200}})
    return AcceptanceCheck(id=name, criterion_id="c", title="t", steps=[step])


def kept(*checks: AcceptanceCheck) -> list[KeptCheck]:
    return [KeptCheck(check=one, criterion=CRITERION, task_id="t", kept_at=utc_now()) for one in checks]


def names(found: list[KeptCheck]) -> list[str]:
    return [one.check.id for one in found]


def test_what_is_replaced_or_taken_back_is_not_looked_at() -> None:
    assert names(within_reach([check("a")], kept(check("a"), check("b"), check("c")), ["b"])) == ["c"]


def test_as_many_as_a_run_takes() -> None:
    many = kept(*(check(f"k{number}") for number in range(150)))
    assert len(within_reach([check("a"), check("b")], many, [])) == MAX_CHECKS - 2


def test_a_large_one_does_not_keep_out_the_small_ones_after_it() -> None:
    fills = kept(*(check(f"k{number}", 1_900) for number in range(40)), check("small"))
    found = names(within_reach([], fills, []))
    assert len(found) < len(fills)
    assert found[-1] == "small"


def test_large_checks_always_fit_into_a_request() -> None:
    large = kept(*(check(f"k{number}", 2_000) for number in range(60)))
    own = check("a", 2_000)
    checks = [own, *(one.check for one in within_reach([own], large, []))]
    request = AcceptanceRequest.model_validate(
        {
            "task_id": "t", "project_id": "p", "repository": "u/p", "commit": "0" * 40,
            "criteria": [CRITERION], "checks": checks,
        }
    )  # fmt: skip
    assert 5 < len(request.checks) < 60
    assert MAX_CHECKS_BYTES > 0
