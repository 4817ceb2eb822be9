"""One number from 0 to 100 for a task and the work below it, for every client, and it never falls."""

from itertools import pairwise

from api.tasks.percentages import Percentage
from contracts.ids import kind_of_task
from contracts.progress import ProgressEvent, StreamedEvent
from contracts.subjects import Subject

DELIVERY, ENGINEERING, DEPLOY = "dlv-0123456789ab", "eng-0123456789ab", "dep-0123456789ab"

# What the workflows of a delivery with one red round say of themselves, in the order in which people see it.
SAID = [
    (DELIVERY, None), (DELIVERY, 5), (ENGINEERING, None), (ENGINEERING, 10), (ENGINEERING, 20), (ENGINEERING, 35),
    (ENGINEERING, 65), (ENGINEERING, 35), (ENGINEERING, 65), (ENGINEERING, 85), (ENGINEERING, 100), (DELIVERY, 60),
    (DEPLOY, None), (DEPLOY, 5), (DEPLOY, 10), (DEPLOY, 45), (DEPLOY, 80), (DEPLOY, 95), (DEPLOY, 100), (DELIVERY, 100),
]  # fmt: skip


def event(task_id: str, percent: int | None, grain: str = "milestone") -> StreamedEvent:
    told = ProgressEvent(type="progress", request_id="r", progress_pct=percent)
    of_task = {"task_id": task_id, "kind": kind_of_task(task_id), "subject": Subject.project("p")}
    return StreamedEvent.model_validate({"seq": 1, "grain": grain, "event": told, **of_task})


def reached(task_id: str, said: list[tuple[str, int | None]]) -> list[int]:
    percentage = Percentage(task_id)
    return [int(percentage.told(event(*one)).percent or 0) for one in said]


def test_a_delivery_goes_once_from_0_to_100() -> None:
    shown = reached(DELIVERY, SAID)
    assert shown == [0, 5, 5, 10, 16, 24, 40, 40, 40, 51, 60, 60, 60, 62, 64, 78, 92, 98, 99, 100]
    assert all(later >= earlier for earlier, later in pairwise(shown))


def test_parts_share_what_engineering_has_of_a_delivery() -> None:
    first, second = f"{ENGINEERING}-1of2", f"{ENGINEERING}-2of2"
    said: list[tuple[str, int | None]] = [(first, 0), (first, 50), (first, 100), (second, 10), (second, 100)]
    assert reached(DELIVERY, said) == [5, 18, 32, 34, 59]


def test_a_task_that_is_watched_alone_has_its_own_number() -> None:
    assert reached(ENGINEERING, [one for one in SAID if one[0] == ENGINEERING])[-1] == 100
    assert reached(DEPLOY, [(DEPLOY, 45), (DEPLOY, 90)]) == [45, 90]


def test_only_the_task_itself_says_that_it_is_complete() -> None:
    assert reached(DELIVERY, [(DEPLOY, 100)]) == [99]


def test_what_an_agent_says_moves_nothing() -> None:
    percentage = Percentage(DELIVERY)
    percentage.told(event(DELIVERY, 5))
    assert percentage.told(event(ENGINEERING, 90, grain="fine")).percent == 5
