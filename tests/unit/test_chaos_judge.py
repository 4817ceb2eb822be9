"""The judge of the chaos suite must be able to fail: every kind of loss and doubling is planted and found."""

from dataclasses import replace

import pytest

from tests.support.chaos import Evidence, judge

RELEASE = "rel-1"
UNKILLED = Evidence(
    tasks=("delivery completed", "deploy completed", "engineering completed"),
    commits=2,
    turns=1,
    agent_starts=1,
    release_dirs=("rel-0",),
    service_processes=1,
    answering="rel-0",
    milestones=("eng started started", "eng progress testing", "eng completed completed"),
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
        ({"tasks": (*SEEN.tasks, "deploy completed")}, "doubled", "task rows"),
        ({"tasks": SEEN.tasks[:-1]}, "lost", "task rows"),
        ({"tasks": ("delivery completed", "deploy running", "engineering completed")}, "differs", "deploy running"),
        ({"release_dirs": (RELEASE, "rel-2")}, "doubled", "release directories"),
        ({"release_dirs": ()}, "lost", "release directories"),
        ({"release_dirs": ("rel-2",)}, "differs", "rel-2"),
        ({"service_processes": 2}, "doubled", "service processes"),
        ({"service_processes": 0}, "lost", "service processes"),
        ({"answering": "rel-0"}, "lost", "the URL answers with rel-0"),
        ({"answering": "no answer (ConnectError)"}, "lost", "no answer"),
        ({"milestones": (*SEEN.milestones, "eng progress testing")}, "doubled", "milestones"),
        ({"milestones": SEEN.milestones[1:]}, "lost", "milestones"),
        ({"milestones": SEEN.milestones[::-1]}, "differs", "another order"),
        ({"repeated": ("eng fine Bash: git commit",)}, "doubled", "shown twice"),
        ({"questions": 1}, "differs", "open questions"),
        ({"leftovers": ("turn-eng-1-1",)}, "orphan", "turn-eng-1-1"),
    ],
)
def test_a_planted_fault_is_found(changes: dict[str, object], kind: str, words: str) -> None:
    found = judge(replace(SEEN, **changes), UNKILLED, RELEASE)  # type: ignore[arg-type] # the table holds any field
    assert any(one.kind == kind and words in one.what for one in found), found
