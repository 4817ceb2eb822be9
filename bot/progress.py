"""What is known of a task from its events: the steps behind, the step now, how far it is."""

from dataclasses import dataclass

from contracts.progress import StreamedEvent

STEPS = ("scaffolding", "developing", "testing", "publishing", "deploy")
"""The steps that are shown; what deploy does in detail is one of them."""

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

# A delivery's share of engineering, and of deploy.
_ENGINEERING_SHARE, _DEPLOY_SHARE = (5, 55), (60, 40)


@dataclass
class Progress:
    """`stage` is the workflow's own word for where it is."""

    task_id: str
    stage: str = "queued"
    percent: int = 0
    completed: bool = False
    _deploying: bool = False

    def take(self, event: StreamedEvent) -> bool:
        """Add one event; whether something that people see has changed."""
        before = (self.stage, self.percent, self.completed)
        told = event.event
        if event.grain == "milestone":
            # What is said in between, such as that a step has ended, moves nothing. After a restart the streams of the
            # steps are read side by side: what engineering says once deploy has begun is of before.
            engineering = event.task_id.startswith("eng-")
            self._deploying |= not engineering and told.current_step in _DEPLOY_STAGES
            if told.current_step in _SHOWN and not (engineering and self._deploying):
                self.stage = told.current_step
            self.completed = self.completed or (event.task_id == self.task_id and told.type == "completed")
            if told.progress_pct is not None:
                self.percent = max(self.percent, self._share(event.task_id, told.progress_pct))
        return before != (self.stage, self.percent, self.completed)

    @property
    def step(self) -> str:
        """The step that is shown as the present one; empty before the first."""
        if self.stage in _DEPLOY_STAGES:
            return "deploy"
        return self.stage if self.stage in STEPS else ""

    def _share(self, task_id: str, percent: int) -> int:
        if task_id == self.task_id:
            return percent
        begin, size = _DEPLOY_SHARE if task_id.startswith("dep-") else _ENGINEERING_SHARE
        return begin + percent * size // 100
