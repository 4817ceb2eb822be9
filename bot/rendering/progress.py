"""How far a task is: completed steps, current step, percent."""

from dataclasses import dataclass

from contracts.progress import StreamedEvent

STEPS = ("scaffolding", "developing", "testing", "publishing", "deploy")
"""The steps that a message lists. All stages of a deploy belong to the last one."""

_DEPLOY_STAGES = {
    "deploy",
    "analysing",
    "resolving",
    "allocating",
    "deploying",
    "probing",
    "promoting",
    "rolling back",
}
_SHOWN = {*STEPS, *_DEPLOY_STAGES}

# Where engineering and deploy begin within the delivery's percent, and their size.
_ENGINEERING_SHARE, _DEPLOY_SHARE = (5, 55), (60, 40)


@dataclass
class Progress:
    """`stage` is the workflow's own word for its current stage."""

    task_id: str
    stage: str = "queued"
    percent: int = 0
    completed: bool = False
    _deploying: bool = False

    def apply(self, event: StreamedEvent) -> bool:
        """Add one event; True if the message looks different now."""
        before = (self.stage, self.percent, self.completed)
        progress = event.event
        if event.grain == "milestone":
            # Milestones of other stages, such as "completed" of a step, do not move the message. After a restart the
            # streams of both children are read in parallel, so engineering's old events may come after deploy's.
            engineering = event.task_id.startswith("eng-")
            self._deploying |= not engineering and progress.current_step in _DEPLOY_STAGES
            if progress.current_step in _SHOWN and not (engineering and self._deploying):
                self.stage = progress.current_step
            self.completed = self.completed or (event.task_id == self.task_id and progress.type == "completed")
            if progress.progress_pct is not None:
                self.percent = max(self.percent, self._share(event.task_id, progress.progress_pct))
        return before != (self.stage, self.percent, self.completed)

    @property
    def step(self) -> str:
        """The current step, one of STEPS; empty before the first."""
        if self.stage in _DEPLOY_STAGES:
            return "deploy"
        return self.stage if self.stage in STEPS else ""

    def _share(self, task_id: str, percent: int) -> int:
        if task_id == self.task_id:
            return percent
        begin, size = _DEPLOY_SHARE if task_id.startswith("dep-") else _ENGINEERING_SHARE
        return begin + percent * size // 100
