"""Since when a service is as it is: since its state, or its last start, whatever came later."""

from datetime import timedelta

import pytest

from activities.health import health_of
from contracts.base import utc_now
from contracts.nouns import ServiceHealth
from contracts.steps import ServiceSight

EARLIER = utc_now() - timedelta(days=2)


def before(**known: object) -> ServiceHealth:
    return ServiceHealth.model_validate({"state": "healthy", "since": EARLIER, "restarts": 1, "pid": 100, **known})


def sight(**known: object) -> ServiceSight:
    return ServiceSight.model_validate({"state": "running", "restarts": 1, "pid": 100, **known})


@pytest.mark.parametrize(
    ("was", "is_now"),
    [
        (before(), sight()),
        (before(pid=None), sight()),
        (before(), sight(pid=None)),
        (before(state="unhealthy", error="no answer"), sight(error="no answer")),
    ],
    ids=["the same process", "seen by an earlier version", "no process is known now", "still unhealthy"],
)
def test_what_goes_on_keeps_its_beginning(was: ServiceHealth, is_now: ServiceSight) -> None:
    assert health_of(is_now, was).since == EARLIER


@pytest.mark.parametrize(
    "is_now",
    [
        sight(restarts=2, pid=200),
        sight(restarts=0, pid=200),
        sight(pid=200),
        sight(error="no answer"),
        sight(restarts=2),
    ],
    ids=["ended and was started again", "restarted by a person", "another process", "unhealthy now", "counted again"],
)
def test_a_restart_begins_anew_as_another_state_does(is_now: ServiceSight) -> None:
    found = health_of(is_now, before())
    assert found.since > EARLIER
    assert found.pid == is_now.pid
    assert health_of(is_now, found).since == found.since, "the next look sees nothing new"
