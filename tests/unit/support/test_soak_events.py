"""What a script of events plans, and what it forgives: only what the product itself has written down."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.soak.events import EventPlan, Said, after_questions, false_questions
from tests.soak.plan import Account, Recovery, Result
from tests.soak.report import report_of
from tests.support.kills.judging import Delivery, Evidence
from tests.support.kills.killing import DOCKER, PARTS
from tests.support.kills.surroundings import DISK, EVENTS, SERVER, prunes_here
from tests.support.kills.traces import Run

DAY = datetime(2026, 11, 30, tzinfo=UTC)
ALL = (*PARTS, *EVENTS)
DELIVERY = Delivery("0c9a", "shop", "dlv-1")
UNKILLED = Evidence(
    tasks=("delivery completed",),
    commits=2,
    turns=1,
    agent_starts=1,
    begun_again=(),
    release_dirs=(DELIVERY.release,),
    release_images=1,
    services=1,
    answering=DELIVERY.release,
    milestones=("begun", "developing", "done"),
    repeated=(),
    questions=0,
    leftovers=(),
)


def plan(seed: int = 1, parts: tuple[str, ...] = ALL, events: int = 60, deliveries: int = 12) -> EventPlan:
    return EventPlan(seed, parts, events, deliveries=deliveries)


def test_a_script_has_every_kind_several_times_and_the_seed_decides_the_order() -> None:
    counts = Counter(plan().script())
    assert counts == Counter(server=8, network=8, prune=6, disk=6, workers=7, api=7, temporal=6, postgres=6, docker=6)
    assert plan().script() == plan().script() != plan(2).script()
    assert Counter(plan(2).script()) == counts


def test_without_disks_and_the_docker_daemon_the_script_is_as_long() -> None:
    spared = tuple(part for part in ALL if part not in {DOCKER, DISK})
    assert len(plan(parts=spared).script()) == 60
    assert set(plan(parts=spared).script()) == set(spared)


def test_a_short_script_still_has_everything_around_the_platform() -> None:
    assert set(EVENTS) <= set(plan(events=9, deliveries=2).script())
    assert len(plan(events=8, deliveries=2).script()) == 8


def test_strikes_are_the_script_and_never_two_things_that_hinder_each_other() -> None:
    for seed in range(20):
        strikes = list(plan(seed).strikes())
        assert [victim for strike in strikes for victim in strike.victims] == plan(seed).script()
        pairs = [strike.victims for strike in strikes if len(strike.victims) == 2]
        assert pairs
        for pair in pairs:
            assert len(set(pair)) == 2
            assert sum(victim in EVENTS for victim in pair) <= int(DOCKER not in pair)


def test_deliveries_are_spread_over_the_script() -> None:
    one = plan()
    assert [begun for begun in range(12) if one.may_begin(begun, 0)] == [0, 1, 2]
    assert not one.may_begin(3, 4)
    assert one.may_begin(3, 5)
    assert not one.may_strike(0, 0)
    assert not one.may_strike(1, 5)
    assert one.may_strike(12, 59)
    for kills in range(60):
        for begun in range(13):
            assert one.may_strike(begun, kills) or one.may_begin(begun, kills), "nobody could go on"


def test_all_lanes_together_begin_so_many_deliveries() -> None:
    lanes = plan().sentences()
    wishes = [next(lanes[number % 3]) for number in range(12)]
    assert next(lanes[0], None) is None
    assert wishes == [next(lane) for lane in plan().sentences() for _ in range(4)]


def test_too_few_deliveries_make_a_run_red() -> None:
    short = plan(events=1, deliveries=2)
    account = Account("A library", DELIVERY, 12.0, "completed")
    assert not Result(short, [Recovery(SERVER, 1.0)], [account]).is_green
    assert Result(short, [Recovery(SERVER, 1.0)], [account, account]).is_green


TESTS, DEPLOY = (f"{prefix}ab12" for prefix in DELIVERY.work[1:])


class RanTwice:
    """Every run has begun twice."""

    def runs(self, prefix: str) -> list[Run]:
        return [Run(prefix, f"{prefix}:{number}", False) for number in range(2)]


@pytest.mark.parametrize(
    ("run", "line", "explained"),
    [
        (TESTS, "", False),
        (TESTS, "activity failed code=TESTER_LOST task_id=eng-another", False),
        (TESTS, f"activity failed code=TESTS_FAILED task_id={DELIVERY.engineering}", False),
        (TESTS, f"activity failed code=TESTER_LOST task_id={DELIVERY.engineering}", True),
        (DEPLOY, f"activity failed code=TESTER_LOST task_id={DELIVERY.engineering}", False),
        (DEPLOY, f"activity failed code=SERVER_UNREACHABLE task_id={DELIVERY.deploy}", True),
    ],
)
def test_a_run_may_begin_again_only_if_the_platform_has_said_why(run: str, line: str, *, explained: bool) -> None:
    said = Said.in_lines([f"12:00 [warning  ] {line} attempt=1"], DELIVERY)
    seen = said.explained(replace(UNKILLED, begun_again=(run,)), RanTwice(), DELIVERY)
    assert seen.begun_again == (() if explained else (run,))


def test_a_question_has_to_name_the_fault() -> None:
    assert false_questions(["The container of the agent was removed. Try again, or stop?"]) == []
    [finding] = false_questions(["The agent could not finish: no reason given."])
    assert finding.kind == "differs"


def test_an_answer_explains_one_more_turn_and_nothing_else() -> None:
    asked = replace(
        UNKILLED, turns=2, agent_starts=2, milestones=("begun", "developing", "waiting", "developing", "done")
    )
    assert after_questions(asked, UNKILLED, 1) == UNKILLED
    assert after_questions(asked, UNKILLED, 0) == asked
    lost = replace(asked, milestones=("begun", "waiting", "done"))
    assert after_questions(lost, UNKILLED, 1).milestones == lost.milestones
    twice = replace(asked, agent_starts=3)
    assert after_questions(twice, UNKILLED, 1).agent_starts == 2


def test_the_report_counts_events_and_says_who_waited_and_what_was_left_out() -> None:
    waited = Account("A library", DELIVERY, 12.0, "completed", questions=["The container was removed."])
    recoveries = [Recovery(SERVER, 3.0), Recovery("api", 1.0)]
    spared = tuple(part for part in ALL if part != DISK)
    text = report_of(Result(plan(parts=spared, events=2, deliveries=1), recoveries, [waited]), DAY)
    assert "2 events in 0.0 minutes" in text
    assert f"Not in this run: {EVENTS[DISK]}." in text
    assert "| Event | Times | p50 | p95 | max |" in text
    assert "| Server | 1 | 3.0 s | 3.0 s | 3.0 s |" in text
    assert "1 of them waited for a person" in text


def test_the_engine_of_a_person_is_pruned_of_what_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("CHAOS_DOCKERD", raising=False)
    assert prunes_here()
    assert all(any(word.startswith("label=codegen-orchestrator.") for word in command) for command in prunes_here())
    assert not any("volume" in command or "system" in command for command in prunes_here())
