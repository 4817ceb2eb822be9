"""The judge of the kill suite must be able to fail: every kind of loss and doubling is planted and found."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.campaign import Strike
from tests.support.kills.judging import Delivery, Evidence, judge
from tests.support.kills.traces import Deployed, Run, RunRecords, begun_again
from tests.support.kills.traces_in_containers import Container, Sightings, containers_left, deployed_of

RELEASE = "rel-1"
UNKILLED = Evidence(
    tasks=("delivery completed", "deploy completed", "engineering completed"),
    commits=2,
    turns=1,
    agent_starts=1,
    begun_again=(),
    release_dirs=("rel-0",),
    release_images=1,
    services=1,
    answering="rel-0",
    milestones=("engineering started started", "engineering progress testing", "engineering completed completed"),
    repeated=(),
    questions=0,
    leftovers=(),
)
SEEN = replace(UNKILLED, release_dirs=(RELEASE,), answering=RELEASE)


def test_the_same_end_is_no_finding() -> None:
    assert judge(SEEN, UNKILLED, RELEASE) == []


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"commits": 3}, "doubled", "commits on main"),
        ({"commits": 0}, "lost", "commits on main"),
        ({"agent_starts": 2}, "doubled", "agent runs per turn"),
        ({"agent_starts": 0}, "lost", "agent runs per turn"),
        ({"turns": 2, "agent_starts": 2}, "doubled", "turns"),
        ({"begun_again": ("turn-eng-1-1",)}, "doubled", "begun more than once: turn-eng-1-1"),
        ({"tasks": (*SEEN.tasks, "deploy completed")}, "doubled", "task rows"),
        ({"tasks": SEEN.tasks[:-1]}, "lost", "task rows"),
        ({"tasks": ("delivery completed", "deploy running", "engineering completed")}, "differs", "deploy running"),
        ({"release_dirs": (RELEASE, "rel-2")}, "doubled", "release directories"),
        ({"release_dirs": ()}, "lost", "release directories"),
        ({"release_dirs": ("rel-2",)}, "differs", "rel-2"),
        ({"release_images": 2}, "doubled", "release images"),
        ({"release_images": 0}, "lost", "release images"),
        ({"services": 2}, "doubled", "services"),
        ({"services": 0}, "lost", "services"),
        ({"answering": "rel-0"}, "lost", "the URL answers with rel-0"),
        ({"answering": "no answer (ConnectError)"}, "lost", "no answer"),
        ({"milestones": (*SEEN.milestones, "engineering progress testing")}, "doubled", "milestones"),
        ({"milestones": SEEN.milestones[1:]}, "lost", "milestones"),
        ({"milestones": SEEN.milestones[::-1]}, "differs", "another order"),
        ({"repeated": ("eng fine Bash: git commit",)}, "doubled", "shown twice"),
        ({"questions": 1}, "differs", "open questions"),
        ({"leftovers": ("container turn-eng-1-1 (running)",)}, "orphan", "turn-eng-1-1"),
    ],
)
def test_a_planted_fault_is_found(changes: dict[str, object], kind: str, words: str) -> None:
    found = judge(replace(SEEN, **changes), UNKILLED, RELEASE)  # type: ignore[arg-type] # the table holds any field
    assert any(one.kind == kind and words in one.what for one in found), found


# What is counted of containers ---------------------------------------------------------------------------------------

DELIVERY = Delivery("0c9a", "shop", "dlv-1")
TURN, TESTS, DEPLOY = DELIVERY.work
MINE = {"codegen-orchestrator.task": DELIVERY.engineering}


class Seen:
    """Implements the part of `Traces` that remembers what was seen."""

    def __init__(self, *looks: list[Container]) -> None:
        self.sightings = Sightings()
        for there in looks:
            self.sightings.take(there)

    def runs(self, prefix: str) -> list[Run]:
        return self.sightings.runs(prefix)


def container(name: str, number: str = "a1", state: str = "running", **labels: str) -> Container:
    return Container(name, number, state, {**MINE, **{f"codegen-orchestrator.{k}": v for k, v in labels.items()}})


def test_one_container_for_each_turn_and_test_run_is_no_doubling() -> None:
    seen = Seen([container(f"{TURN}1")], [container(f"{TURN}1", state="exited"), container(f"{TESTS}c0", "b2")], [])
    assert begun_again(seen, DELIVERY) == ()
    assert [run.running for run in seen.runs(TURN)] == [False]


def test_a_second_container_of_a_turn_is_found_although_the_first_has_gone() -> None:
    seen = Seen([container(f"{TURN}1")], [], [container(f"{TURN}1", "b2")])
    assert begun_again(seen, DELIVERY) == (f"{TURN}1",)
    assert [run.running for run in seen.runs(TURN)] == [False, True]


def test_a_deploy_that_was_begun_again_is_found_although_its_record_was_replaced(tmp_path: Path) -> None:
    records, file = RunRecords(tmp_path), tmp_path / "runs" / f"{DEPLOY}dep-1" / "status.json"
    file.parent.mkdir(parents=True)
    for instance in ("first", "second"):
        file.write_text(f'{{"name": "{DEPLOY}dep-1", "instance": "{instance}", "state": "running"}}')
        records.look()
    assert begun_again(records, DELIVERY) == (f"{DEPLOY}dep-1",)


@pytest.mark.parametrize("state", ["running", "exited", "created"])
@pytest.mark.parametrize("name", [f"{TURN}1", f"{TESTS}c0ffee", f"workspace-{DELIVERY.engineering}"])
def test_a_container_of_work_that_has_ended_is_an_orphan(name: str, state: str) -> None:
    assert containers_left([Container(name, "a1", state)], DELIVERY) == [f"container {name} ({state})"]


def test_an_orphan_is_known_by_its_task_under_any_name() -> None:
    assert containers_left([container("something")], DELIVERY) == ["container something (running)"]


def test_finished_packages_are_kept_for_others_and_unfinished_ones_are_orphans() -> None:
    assert containers_left([container("venv-1", state="exited", kind="setup")], DELIVERY) == []
    assert containers_left([container("venv-1", kind="setup")], DELIVERY) == ["container venv-1 (running)"]


def test_containers_of_other_deliveries_are_no_orphans() -> None:
    other = Container("turn-eng-2-1", "a1", "running", {"codegen-orchestrator.task": "eng-2"})
    assert containers_left([other], DELIVERY) == []


LIVE = "svc-shop-backend-rel-1 running"
SAID = f"{LIVE}\n--\nsvc-shop:rel-1\n--\nrel-1\n--\n"


def test_one_service_of_one_release_is_as_it_should_be() -> None:
    assert deployed_of(SAID) == Deployed(("rel-1",), 1, 1, ())


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (SAID.replace(LIVE, f"{LIVE}\nsvc-shop-backend-rel-0 running"), Deployed(("rel-1",), 1, 2, ())),
        (
            SAID.replace(LIVE, f"{LIVE}\nsvc-shop-backend-cand-rel-1 running"),
            Deployed(("rel-1",), 1, 1, ("svc-shop-backend-cand-rel-1 (running) on the server",)),
        ),
        (
            SAID.replace(LIVE, f"{LIVE}\nsvc-shop-backend-rel-0 exited"),
            Deployed(("rel-1",), 1, 1, ("svc-shop-backend-rel-0 (exited) on the server",)),
        ),
        (SAID.replace("svc-shop:rel-1", "svc-shop:rel-1\nsvc-shop:rel-0"), Deployed(("rel-1",), 2, 1, ())),
        (SAID.replace("\nrel-1\n", "\nrel-0\nrel-1\n"), Deployed(("rel-0", "rel-1"), 1, 1, ())),
        (
            f"{SAID}/srv/shop/releases/rel-1/context.tar\n",
            Deployed(("rel-1",), 1, 1, ("/srv/shop/releases/rel-1/context.tar",)),
        ),
        ("--\n--\n--\n", Deployed((), 0, 0, ())),
    ],
    ids=[
        "a second service",
        "a candidate",
        "an ended service",
        "a second image",
        "a second release",
        "an archive",
        "nothing",
    ],
)
def test_what_the_server_says_is_counted(said: str, expected: Deployed) -> None:
    assert deployed_of(said) == expected


@pytest.mark.parametrize(
    ("strike", "adopted"),
    [
        (Strike("", (), cut_short=False), True),
        (Strike("test-1:a", ("test-1:a",), cut_short=False), True),
        (Strike("test-1:a", ("test-1:a",), cut_short=True), True),
        (Strike("test-1:a", ("test-1:a", "test-1:b"), cut_short=True), True),
        (Strike("test-1:a", ("test-1:a", "test-1:b"), cut_short=False), False),
        (Strike("test-1:a", ("test-1:a", "test-1:b", "test-1:c"), cut_short=True), False),
        (Strike("test-1:a", ("test-1:b",), cut_short=True), False),
        (Strike("test-1:a", (), cut_short=False), False),
    ],
)
def test_tests_may_run_once_more_only_where_docker_lost_their_end(strike: Strike, adopted: bool) -> None:
    assert strike.adopted is adopted
