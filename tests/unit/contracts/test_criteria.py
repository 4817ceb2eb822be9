"""A criterion is a sentence with an id, words of the wish, a state and a proof; older producers send the sentence."""

import pytest
from pydantic import ValidationError

from contracts.criteria import MAX_CRITERIA, Criterion, fitting, reason, verdict_text, with_claims
from contracts.departments import EngineeringMessage
from contracts.legacy import normalise
from contracts.project_spec import ProjectSpec
from contracts.states import CriterionState
from workflows.rules import task_markdown

WHOLE = {
    "id": "list",
    "sentence": "GET /notes lists what was added",
    "words": "a list of notes",
    "state": "met",
    "proof": {"reference": "https://notes.test/notes", "text": "200, two notes"},
}


def test_more_criteria_than_can_be_shown_are_counted_and_what_is_missing_comes_first() -> None:
    met = [Criterion(id=f"m{number}", sentence="It is.", state=CriterionState.MET) for number in range(60)]
    missing = [Criterion(id=f"n{number}", sentence="It is not.", state=CriterionState.NOT_MET) for number in range(2)]
    found = fitting([*met, *missing])
    assert len(found) == MAX_CRITERIA
    assert [one.id for one in found[:2]] == ["n0", "n1"]
    assert (found[-1].sentence, found[-1].state) == ("And 13 more criteria: 13 met.", CriterionState.MET)
    assert fitting([*missing, *met[:48]]) == [*missing, *met[:48]]
    many = [one.model_copy(update={"id": f"x{number}"}) for number, one in enumerate(missing * 30)]
    assert (fitting(many)[-1].state, fitting(many)[-1].sentence) == (
        CriterionState.NOT_MET, "And 11 more criteria: 11 not met."
    )  # fmt: skip


def test_plain_sentences_become_open_criteria_in_their_order() -> None:
    spec = ProjectSpec.model_validate({"name": "notes", "acceptance": ["It answers.", WHOLE, "It stays."]})
    assert [(one.id, one.sentence, one.state.value) for one in spec.acceptance] == [
        ("c1", "It answers.", "open"),
        ("list", "GET /notes lists what was added", "met"),
        ("c3", "It stays.", "open"),
    ]
    assert ProjectSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_message_of_an_older_producer_is_understood() -> None:
    body = {
        "task_id": "eng-1",
        "project_id": "p-1",
        "user_id": 1,
        "spec": {"name": "notes", "acceptance": ["It answers."]},
    }
    message = normalise(body, queue="engineering:queue").message
    assert isinstance(message, EngineeringMessage)
    assert message.spec is not None
    assert message.spec.acceptance[0].sentence == "It answers."
    assert "- It answers." in task_markdown(message)


@pytest.mark.parametrize(
    "acceptance",
    [["x" * 201], [""], [1], "It answers.", [WHOLE, WHOLE], [{"id": "c2", "sentence": "a"}, "b"], ["a"] * 51],
)
def test_what_is_no_list_of_criteria_is_refused(acceptance: object) -> None:
    with pytest.raises(ValidationError, match="acceptance"):
        ProjectSpec.model_validate({"name": "notes", "acceptance": acceptance})


def test_an_approval_outlives_what_checks_have_shown() -> None:
    spec = ProjectSpec.model_validate({"name": "notes", "acceptance": [WHOLE]})
    not_met = spec.acceptance[0].model_copy(update={"state": CriterionState.NOT_MET, "proof": None})
    assert spec.model_copy(update={"acceptance": [not_met]}).fingerprint() == spec.fingerprint()
    other = not_met.model_copy(update={"sentence": "Another one"})
    assert spec.model_copy(update={"acceptance": [other]}).fingerprint() != spec.fingerprint()


def criterion(name: str, words: str, state: CriterionState, sentence: str = "s") -> Criterion:
    return Criterion(id=name, sentence=sentence, words=words, state=state)


def test_what_checks_have_shown_outweighs_what_the_agent_says() -> None:
    met, missed = criterion("p1", "a", CriterionState.MET), criterion("p2", "b", CriterionState.NOT_MET)
    claims = [criterion("w1", "a", CriterionState.NOT_MET), criterion("w2", "b", CriterionState.OPEN)]
    assert with_claims([met, missed], claims) == [met, missed]


def test_where_nothing_could_be_checked_the_agent_is_believed_that_it_left_something_out() -> None:
    judged = [criterion("p1", "Sort by size", CriterionState.NOT_CHECKABLE), criterion("p2", "x", CriterionState.OPEN)]
    claims = [
        criterion("w1", "sort, by size!", CriterionState.NOT_MET, "No."),
        criterion("w2", "in blue", CriterionState.NOT_MET),
        criterion("w3", "x", CriterionState.OPEN),
    ]
    found = with_claims(judged, claims)
    assert [(one.words, one.state.value) for one in found] == [
        ("Sort by size", "not_met"), ("x", "not_checkable"), ("in blue", "not_met")
    ]  # fmt: skip
    assert reason(found[0]) == "No."


def test_the_verdict_in_words_has_a_list_for_each_state() -> None:
    states = (CriterionState.MET, CriterionState.NOT_MET, CriterionState.NOT_CHECKABLE, CriterionState.OPEN)
    text = verdict_text([criterion(f"c{state.value}", state.value, state) for state in states])
    assert text == "Built:\n- met\n\nNot built:\n- not_met\n\nNot checked:\n- not_checkable"
    assert verdict_text([]) == ""
