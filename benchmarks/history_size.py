"""What each kind of task leaves in Temporal: events and bytes of the golden histories, and what projections add."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from benchmarks.measuring import Spread
from benchmarks.replay_speed import golden
from benchmarks.reporting import Benchmark, Findings, Table, main
from contracts.names import ActivityName
from workers.replay import load

# What encryption adds to one payload: nonce, tag, key id and the names of its metadata.
_SEAL_BYTES = 190


@dataclass(frozen=True)
class Size:
    """One history. `projections` is the number of projections, `projection_bytes` what their events take."""

    events: int
    bytes: int
    activities: int
    projections: int
    projection_bytes: int


async def measure(options: argparse.Namespace) -> Findings:
    sizes = {(workflow, file.stem): size_of(load(file)) for workflow, files in golden().items() for file in files}
    happy = [_row(f"{workflow}: happy", size) for (workflow, name), size in sizes.items() if name == "happy"]
    of_all = [_spread(workflow, [size for (one, _), size in sizes.items() if one == workflow]) for workflow in golden()]
    return Findings(
        tables=[
            Table(["History", "Events", "Bytes", "Activities", "Projections", "Their events", "Their bytes"], happy),
            Table(["Workflow", "Histories", "Events p50", "Largest", "Bytes p50", "Largest"], of_all),
        ],
        figures={f"{workflow}/{name}": asdict(size) for (workflow, name), size in sizes.items()},
        remarks=[
            f"Golden histories hold unencrypted payloads; encryption adds about {_SEAL_BYTES} bytes to each. A "
            "projection is an activity: three events of its own, and at most one workflow task more."
        ],
    )


def size_of(history: WorkflowHistory) -> Size:
    """Counted event by event."""
    events = history.events
    of_projections = _events_of(events, ActivityName.PROJECTION_APPLY)
    return Size(
        events=len(events),
        bytes=sum(event.ByteSize() for event in events),
        activities=sum(event.HasField("activity_task_scheduled_event_attributes") for event in events),
        projections=sum(event.HasField("activity_task_scheduled_event_attributes") for event in of_projections),
        projection_bytes=sum(event.ByteSize() for event in of_projections),
    )


def _events_of(events: Sequence[HistoryEvent], activity: str) -> list[HistoryEvent]:
    scheduled = {
        event.event_id
        for event in events
        if event.activity_task_scheduled_event_attributes.activity_type.name == activity
    }
    return [event for event in events if _activity_event(event) in scheduled]


def _activity_event(event: HistoryEvent) -> int | None:
    """The event that scheduled the activity of this event."""
    if event.HasField("activity_task_started_event_attributes"):
        return event.activity_task_started_event_attributes.scheduled_event_id
    if event.HasField("activity_task_completed_event_attributes"):
        return event.activity_task_completed_event_attributes.scheduled_event_id
    return event.event_id if event.HasField("activity_task_scheduled_event_attributes") else None


def _row(name: str, size: Size) -> list[str]:
    numbers = (size.events, size.bytes, size.activities, size.projections, size.projections * 3, size.projection_bytes)
    return [name, *(f"{number:,}" for number in numbers)]


def _spread(workflow: str, sizes: list[Size]) -> list[str]:
    events, octets = Spread.of([size.events for size in sizes]), Spread.of([size.bytes for size in sizes])
    numbers = (len(sizes), events.p50, events.largest, octets.p50, octets.largest)
    return [workflow, *(f"{number:,.0f}" for number in numbers)]


BENCHMARK = Benchmark("history_size", "History of a task", {}, measure)

if __name__ == "__main__":
    main(BENCHMARK)
