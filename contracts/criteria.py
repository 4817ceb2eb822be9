"""What "done" means: sentences about the finished thing that can be checked, and what the checks have shown."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from contracts.base import Contract, Identifier, ShortText
from contracts.states import CriterionState

MAX_CRITERIA = 50


class Proof(Contract):
    """What shows the state of a criterion: `reference` names it (an artifact, a URL, a test), `text` says it."""

    reference: str = Field(min_length=1, max_length=500)
    text: str = Field(default="", max_length=1_000)


class Criterion(Contract):
    """One sentence that can be checked, and the words of the wish that it stands for."""

    id: Identifier
    sentence: ShortText
    words: str = Field(default="", max_length=500)
    state: CriterionState = CriterionState.OPEN
    proof: Proof | None = None


def not_built(criteria: Sequence[Criterion]) -> list[Criterion]:
    """What was asked for and is not there."""
    return [criterion for criterion in criteria if criterion.state is CriterionState.NOT_MET]


def _with_ids(value: object) -> object:
    """Older producers send plain sentences: the first becomes the criterion `c1`, and so on."""
    if not isinstance(value, list):
        return value
    return [
        {"id": f"c{number}", "sentence": item} if isinstance(item, str) else item
        for number, item in enumerate(value, start=1)
    ]


def _unique(criteria: list[Criterion]) -> list[Criterion]:
    if len({criterion.id for criterion in criteria}) < len(criteria):
        raise ValueError("every criterion needs an id of its own")
    return criteria


Criteria = Annotated[
    list[Criterion],
    Field(max_length=MAX_CRITERIA),
    AfterValidator(_unique),
    BeforeValidator(_with_ids, json_schema_input_type=list[Criterion | ShortText]),
]
"""Criteria with unique ids. A sentence alone is taken as a criterion that is open."""
