"""Text from outside is fit for messages, whatever programs print and files hold."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.outside_text import REPLACEMENT, cleaned, cleaned_in
from contracts.states import TaskState
from contracts.steps import VerificationResult

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=50)


@dataclass(frozen=True)
class Given:
    result: object
    number: int = 3


@given(ANY_TEXT)
def test_what_is_cleaned_can_be_stored_and_sent_and_is_as_long_as_before(text: str) -> None:
    clean = cleaned(text)
    assert "\x00" not in clean
    assert len(clean) == len(text)
    assert json.loads(json.dumps(clean, ensure_ascii=False).encode()) == clean


@pytest.mark.parametrize(
    "text",
    ["", "plain\n\ttext\r\n", "\x1b[31mred\x1b[0m", "ж 🔑 e\u0301", REPLACEMENT],
    ids=["empty", "lines", "colours", "letters", "replaced before"],
)
def test_other_text_stays_the_same_object(text: str) -> None:
    assert cleaned(text) is text
    document = {"a": [text, {"b": (text, None, 3, 2.5, b"\x00", TaskState.FAILED)}]}
    assert cleaned_in(document) is document


@pytest.mark.parametrize("number", [0, 0xD800, 0xDFFF], ids=["NUL", "high half", "low half"])
def test_models_mappings_lists_and_data_classes_are_cleaned_inside(number: int) -> None:
    bad, good = f"a{chr(number)}b", f"a{REPLACEMENT}b"
    verdict = VerificationResult.model_construct(commit="a" * 40, passed=False, evidence=bad)
    cleared = cleaned_in(Given({bad: [verdict, (bad, 1)]}))
    assert cleared == Given({good: [verdict.model_copy(update={"evidence": good}), (good, 1)]})
    assert verdict.evidence == bad, "what was given is not changed"
