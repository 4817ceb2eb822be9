"""How far a task is, from 0 to 100, the work below it included: one number that never falls."""

from contracts import ids
from contracts.progress import StreamedEvent
from contracts.states import TaskKind

_SHARES = {TaskKind.ENGINEERING: (5, 55), TaskKind.DEPLOY: (60, 40)}
"""Where the work below a delivery begins within its percent, and how much it is."""
_ALMOST = 99
"""Only the task itself says that it is complete."""


class Percentage:
    """That of one task, from the events of its stream, in their order."""

    def __init__(self, task_id: str) -> None:
        self._task_id = task_id
        self._reached = 0

    def told(self, event: StreamedEvent) -> StreamedEvent:
        """The event with the percent that is reached with it."""
        own = event.event.progress_pct
        if own is not None and event.grain == "milestone":
            self._reached = max(self._reached, self._of(event, own))
        return event.model_copy(update={"percent": self._reached})

    def _of(self, event: StreamedEvent, own: int) -> int:
        if event.task_id == self._task_id:
            return own
        begin, size = _SHARES.get(event.kind, (0, 100))
        if (part := ids.part_of_task(event.task_id)) is not None:
            number, total = part
            begin, size = begin + size * (number - 1) // total, size // total
        return min(_ALMOST, begin + own * size // 100)
