"""For which workflow a payload is sealed: a short text that stands in the payload's authenticated metadata.

Docs: docs/decisions/0014-payloads-are-sealed-for-one-workflow.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from temporalio.converter import (
    ActivitySerializationContext,
    NexusSerializationContext,
    SerializationContext,
    WorkflowSerializationContext,
)

NOBODY = ""
"""Sealed without a context, such as the memo of a Schedule: only who opens payloads of any workflow opens it."""

# The server appends the moment to the id that a Schedule was made with.
_RUN_OF_A_SCHEDULE = re.compile(r"(?s)(.+)-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")

_for_a_schedule: ContextVar[bool] = ContextVar("for_a_schedule", default=False)


@contextmanager
def for_a_schedule() -> Iterator[None]:
    """What is sealed here for a workflow's id is for the workflows that a Schedule starts under ids made from it."""
    token = _for_a_schedule.set(True)
    try:
        yield
    finally:
        _for_a_schedule.reset(token)


def seal_of(context: SerializationContext) -> str:
    """For whom a payload with this context is sealed, and who opens it.

    Runs of one Schedule share a seal: each is given the last one's result. Their ids are told apart from ours by the
    seal's first word, so that an id that only looks like one of theirs opens nothing of ours.
    """
    if isinstance(context, WorkflowSerializationContext):
        return _of_workflow(context.workflow_id)
    if isinstance(context, ActivitySerializationContext):
        # The SDK's other fields differ between the workflow and the worker of the activity.
        return _of_workflow(context.workflow_id) if context.workflow_id else f"activity:{context.activity_id}"
    if isinstance(context, NexusSerializationContext):
        return f"nexus:{context.endpoint}/{context.service}/{context.operation}"
    return NOBODY


def _of_workflow(workflow_id: str) -> str:
    if _for_a_schedule.get():
        return f"schedule:{workflow_id}"
    run = _RUN_OF_A_SCHEDULE.match(workflow_id)
    return f"schedule:{run[1]}" if run else f"workflow:{workflow_id}"
