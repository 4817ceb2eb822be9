"""What a scenario consists of."""

import shlex
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Do(StrEnum):
    """What a step does."""

    SAY = "say"
    WRITE = "write"
    RUN = "run"
    COMMIT = "commit"
    ASK = "ask"
    FAIL = "fail"
    DONE = "done"
    LOOP = "loop"
    UNKNOWN_TOOL = "unknown-tool"
    NOTHING = "nothing"
    SLOW = "slow"
    HUGE = "huge"
    STATUS = "status"
    OVERFLOW = "overflow"
    STALL = "stall"
    CUT = "cut"
    DROP = "drop"


# An identity only where none is configured.
_COMMIT = """git add -A && git config user.email >/dev/null && git commit -q -m {message} || \
git -c user.name=Model -c user.email=model@localhost commit -q -m {message}"""

FAULTS = frozenset({Do.STATUS, Do.OVERFLOW, Do.STALL, Do.CUT, Do.DROP})
"""They add nothing to the conversation: the request that comes after one is the same again."""


class Step(BaseModel):
    """One answer, or one fault.

    `text`: what is said, written, run, asked or committed with. `times`: how many requests a fault strikes, None for
    all. `for_s`: a usage window; the fault strikes until so many seconds after its first time. `reset_s`: what a
    refusal says in `retry-after`. `seconds`: how long a slow answer takes. `over_s`: over how long any other answer is
    streamed, so that something can happen meanwhile. `size`: bytes of a huge one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    do: Do
    text: str = ""
    path: str = ""
    choices: tuple[str, ...] = ()
    status: int = Field(default=500, ge=400, le=599)
    times: int | None = Field(default=None, ge=1)
    for_s: float | None = Field(default=None, gt=0)
    reset_s: float | None = Field(default=None, gt=0)
    seconds: float = Field(default=5.0, gt=0, le=3600)
    over_s: float | None = Field(default=None, gt=0, le=3600)
    size: int = Field(default=2_000_000, ge=1, le=64_000_000)

    @property
    def is_fault(self) -> bool:
        return self.do in FAULTS

    @property
    def lasts_s(self) -> float:
        """Over how many seconds its answer is spread."""
        return self.seconds if self.do is Do.SLOW else self.over_s or 0.0


class Scenario(BaseModel):
    """Steps in their order, from the newest text of a person that holds `match`.

    Only for requests with `system` in their instructions, with this `key` and `model` where they are given. `side`:
    also for requests without tools, such as those for a title.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    match: str = ""
    system: str = ""
    key: str | None = None
    model: str | None = None
    side: bool = False
    steps: tuple[Step, ...]

    @model_validator(mode="after")
    def _has_steps(self) -> Self:
        if not self.steps:
            raise ValueError("a scenario has at least one step")
        return self


def primitive(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The same steps out of those that are one answer each: questions and reports are commands of the platform."""
    return tuple(part for step in steps for part in _parts(step))


def _parts(step: Step) -> tuple[Step, ...]:
    if step.do is Do.COMMIT:
        message = shlex.quote(step.text or "Scripted change")
        return (Step(do=Do.RUN, text=_COMMIT.format(message=message)),)
    if step.do is Do.ASK:
        choices = "".join(f" --choice {shlex.quote(choice)}" for choice in step.choices)
        asked = f"orchestrator ask {shlex.quote(step.text)}{choices}"
        return (Step(do=Do.RUN, text=asked), Step(do=Do.SAY, text="I have asked and wait for the answer."))
    if step.do in {Do.FAIL, Do.DONE}:
        option = "--failed" if step.do is Do.FAIL else "--done"
        reported = f"orchestrator report {option} {shlex.quote(step.text or 'The scenario ends here.')}"
        return (Step(do=Do.RUN, text=reported), Step(do=Do.SAY, text=step.text or "Reported."))
    return (step,)
