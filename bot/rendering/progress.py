"""How far a task is: completed steps, current step, percent."""

from dataclasses import dataclass

from contracts.progress import StreamedEvent
from contracts.states import Stage

STEPS = (Stage.SCAFFOLDING, Stage.DEVELOPING, Stage.TESTING, Stage.PUBLISHING, Stage.DEPLOY)
"""The steps that a message lists. All stages of a deploy belong to the last one."""

_DEPLOY_STAGES = {
    Stage.DEPLOY,
    Stage.ANALYSING,
    Stage.RESOLVING,
    Stage.ALLOCATING,
    Stage.DEPLOYING,
    Stage.PROBING,
    Stage.WATCHING,
    Stage.PROMOTING,
    Stage.ROLLING_BACK,
}
_WITHIN = {Stage.PLANNING: Stage.SCAFFOLDING, Stage.REVIEWING: Stage.TESTING, Stage.ACCEPTING: Stage.TESTING}
"""Stages that a message shows as a part of another step: the list stays as short as a phone's screen."""
_SHOWN: dict[str | None, Stage] = {stage.value: stage for stage in (*STEPS, *_WITHIN, *_DEPLOY_STAGES)}


@dataclass
class Progress:
    task_id: str
    stage: Stage = Stage.QUEUED
    percent: int = 0
    completed: bool = False

    def apply(self, event: StreamedEvent) -> bool:
        """Add one event; True if the message looks different now."""
        before = (self.stage, self.percent, self.completed)
        progress = event.event
        if event.grain == "milestone":
            # Milestones of other stages, such as "completed" of a step, do not move the message.
            self.stage = _SHOWN.get(progress.current_step, self.stage)
            self.completed = self.completed or (event.task_id == self.task_id and progress.type == "completed")
        # The API's: the same number that every other client shows.
        self.percent = max(self.percent, event.percent or 0)
        return before != (self.stage, self.percent, self.completed)

    @property
    def step(self) -> Stage | None:
        """The current step, one of STEPS; None before the first."""
        if self.stage in _DEPLOY_STAGES:
            return Stage.DEPLOY
        step = _WITHIN.get(self.stage, self.stage)
        return step if step in STEPS else None
