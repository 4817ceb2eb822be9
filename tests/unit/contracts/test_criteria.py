"""A criterion is a sentence with an id, words of the wish, a state and a proof; older producers send the sentence."""

import pytest
from pydantic import ValidationError

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
