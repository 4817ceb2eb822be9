"""What "done" means: sentences about the finished thing that can be checked, and what the checks have shown."""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from contracts.base import Contract, Identifier, ShortText
from contracts.states import CriterionState

MAX_CRITERIA = 50
AGENTS_CLAIM = "agent"
"""The reference of a proof that is only what the agent says of its own work: that it has left something out."""


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


def built(criteria: Sequence[Criterion]) -> list[Criterion]:
    """What was asked for and was seen to be there."""
    return [criterion for criterion in criteria if criterion.state is CriterionState.MET]


def not_built(criteria: Sequence[Criterion]) -> list[Criterion]:
    """What was asked for and is not there."""
    return [criterion for criterion in criteria if criterion.state is CriterionState.NOT_MET]


def not_checked(criteria: Sequence[Criterion]) -> list[Criterion]:
    """What was asked for and nobody could check."""
    return [criterion for criterion in criteria if criterion.state is CriterionState.NOT_CHECKABLE]


def reason(criterion: Criterion) -> str:
    """Why a criterion is in its state, as its proof says; else the criterion itself."""
    return (criterion.proof.text if criterion.proof else "") or criterion.sentence


def verdict_text(criteria: Sequence[Criterion]) -> str:
    """What was built, what was not, and what nobody could check, for people who read a result; empty before that."""
    parts = [("Built", built(criteria)), ("Not built", not_built(criteria)), ("Not checked", not_checked(criteria))]
    return "\n\n".join(f"{title}:\n{_lines(found)}" for title, found in parts if found)


def fitting(criteria: Sequence[Criterion]) -> list[Criterion]:
    """As many as a result holds: what is not there first, and at the end how many there are besides."""
    if len(criteria) <= MAX_CRITERIA:
        return list(criteria)
    by_need = sorted(criteria, key=lambda one: _NEED.index(one.state))
    shown, others = by_need[: MAX_CRITERIA - 1], by_need[MAX_CRITERIA - 1 :]
    counted = [(state, sum(one.state is state for one in others)) for state in _NEED]
    told = ", ".join(f"{number} {state.value.replace('_', ' ')}" for state, number in counted if number)
    rest = Criterion(id="others", sentence=f"And {len(others)} more criteria: {told}.", state=others[0].state)
    return [*shown, rest]


_NEED = (CriterionState.NOT_MET, CriterionState.NOT_CHECKABLE, CriterionState.OPEN, CriterionState.MET)


def _lines(criteria: Sequence[Criterion]) -> str:
    return "\n".join(f"- {one.words or one.sentence}" for one in criteria)


def with_claims(judged: Sequence[Criterion], claims: Sequence[Criterion]) -> list[Criterion]:
    """What checks have shown, and what the agent itself says it has left out where they have shown nothing.

    That something was built is no claim that counts. A clause that only the agent names is a criterion of its own.
    """
    left_out = not_built(claims)
    found = [_or_claim(criterion, left_out) for criterion in judged]
    known = {_plain(criterion.words) for criterion in found if criterion.state is not CriterionState.NOT_CHECKABLE}
    taken = {criterion.id for criterion in found}
    others = [claim for claim in left_out if _plain(claim.words) not in known and claim.id not in taken]
    return [*found, *others][:MAX_CRITERIA]


def _or_claim(criterion: Criterion, left_out: Sequence[Criterion]) -> Criterion:
    if criterion.state in {CriterionState.MET, CriterionState.NOT_MET}:
        return criterion
    words = _plain(criterion.words)
    claim = next((one for one in left_out if words and words in _plain(one.words)), None)
    if claim is None:
        return criterion.model_copy(update={"state": CriterionState.NOT_CHECKABLE})
    proof = Proof(reference=AGENTS_CLAIM, text=claim.sentence)
    return criterion.model_copy(update={"state": CriterionState.NOT_MET, "proof": proof})


def _plain(words: str) -> str:
    return " ".join(re.findall(r"\w+", words.casefold()))


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
