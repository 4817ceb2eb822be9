"""What a person has taken as it is: which commit, what it missed then, and which promises end by it."""

from typing import Annotated

from pydantic import Field, StringConstraints

from contracts.base import Contract, Identifier
from contracts.criteria import MAX_CRITERIA

MAX_MISSED = 500
Missed = Annotated[str, StringConstraints(max_length=200)]


class TakenAsIs(Contract):
    """A person's answer to a question about what `commit` misses.

    `missed`: names of what it missed, criteria of the task and kept checks; `sentences` say the same for people.
    `gives_up`: those of the kept checks that the question has named.
    """

    commit: str = Field(default="", max_length=64)
    missed: list[Missed] = Field(default_factory=list, max_length=MAX_MISSED)
    sentences: list[Missed] = Field(default_factory=list, max_length=MAX_CRITERIA)
    gives_up: list[Identifier] = Field(default_factory=list, max_length=MAX_MISSED)

    def covers(self, commit: str, missed: list[str]) -> bool:
        """Whether it holds for `commit`, too: the same one, or one that misses nothing else."""
        return commit == self.commit or set(missed) <= set(self.missed)

    def told(self) -> str:
        """What was taken although it is missing, for people who read a result."""
        return "\n".join(f"- {one}" for one in self.sentences)
