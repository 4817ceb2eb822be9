"""One part of the platform is killed at a named point of a delivery; seen from outside nothing is lost or doubled."""

from collections.abc import AsyncIterator

import pytest

from tests.chaos.conftest import SENTENCE
from tests.soak.campaign import (
    DEPLOY,
    TESTS,
    TURN,
    Campaign,
    Point,
    Route,
    accepted,
    after_the_tests,
    in_run,
    in_stage,
)
from tests.support.kills.judging import Evidence, judge
from tests.support.kills.killing import DOCKER, spared_engine
from tests.support.kills.traces_in_containers import ContainerTraces

pytestmark = pytest.mark.timeout(1200)

SLOW = "[agent:slow=5]"
"""A turn that a kill surely hits."""
_TURN = ("in the agent's turn", in_run(TURN, 0.5))
_TESTS = ("in the Tester", in_run(TESTS, 0.3))
_DEPLOY = ("in the deploy", in_run(DEPLOY, 1.0))
ROUTES = [
    Route(points, SLOW)
    for points in (
        (
            Point("just after the start", accepted, ("workers",)),
            Point(*_TURN, ("api",)),
            Point(*_TESTS, ("workers",)),
            Point(*_DEPLOY, ("postgres",)),
        ),
        (
            Point("while scaffolding", in_stage("engineering", "scaffolding"), ("workers",)),
            Point(*_TURN, ("temporal",)),
            Point(*_TESTS, (DOCKER,)),
            Point(*_DEPLOY, ("api",)),
        ),
        (
            Point(*_TURN, ("workers",)),
            Point(*_TESTS, ("temporal",)),
            Point(*_DEPLOY, (DOCKER,)),
        ),
        (
            Point(*_TURN, ("postgres",)),
            Point("after the tests", after_the_tests, ("workers",)),
            Point(*_DEPLOY, ("workers",)),
        ),
        (
            Point(*_TURN, (DOCKER,)),
            Point("just after the switch", in_stage("deploy", "probing"), ("workers",)),
        ),
        (
            Point(*_TURN, ("workers", DOCKER)),
            Point(*_DEPLOY, ("temporal", "postgres")),
            Point("while the release is watched", in_stage("deploy", "watching"), ("workers",)),
        ),
    )
]
IN_THE_GATE = 2
"""So many routes kill each part once, in a phase each: `make test` runs these, `make test-deep` all."""
POINTS = [
    pytest.param(point, id=point.name, marks=[] if number < IN_THE_GATE else [pytest.mark.deep])
    for number, route in enumerate(ROUTES)
    for point in route.points
]


@pytest.fixture(scope="module")
async def campaign(
    containers: ContainerTraces, unkilled_in_containers: Evidence, request: pytest.FixtureRequest
) -> AsyncIterator[Campaign]:
    """All points that this session asks for, one delivery after the other since the first of them is asked for."""
    wanted = [
        item.callspec.params["point"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec")
    ]
    campaign = Campaign(containers, SENTENCE)
    campaign.begin(ROUTES, [point for point in wanted if DOCKER not in point.victims or spared_engine() is None])
    yield campaign
    await campaign.close()


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_changes_nothing(campaign: Campaign, unkilled_in_containers: Evidence, point: Point) -> None:
    if DOCKER in point.victims and (reason := spared_engine()) is not None:
        pytest.skip(f"NOT TESTED: {reason}")
    outcome = await campaign.outcome(point)
    print("\n".join(outcome.story))  # noqa: T201 - shown with a failure
    assert outcome.task["state"] == "completed", outcome.task
    assert judge(outcome.evidence, unkilled_in_containers, outcome.delivery.release) == []
    strike = outcome.strikes[point.name]
    assert strike.adopted, f"started again instead of adopted: {strike}"


async def test_killed_parts_leave_nothing_behind(campaign: Campaign, containers: ContainerTraces) -> None:
    assert containers.strays() == ()
