"""What the platform itself asks can be put in each language; what an agent asks is passed on."""

from typing import Any

import pytest

from bot.texts import LANGUAGES, texts
from contracts.questions import OwnQuestion, QuestionWording
from tests.unit.workflows.test_limit_questions import LIMITS
from workflows import rules
from workflows.graphs import acceptance_rules, review_rules

STATES: dict[OwnQuestion, dict[str, Any]] = {
    OwnQuestion.MAIN_MOVED: {"publish_status": "conflict", "conflict": ["a.py", "b.py"]},
    OwnQuestion.AGENT_SILENT: {"turn_status": "question"},
    OwnQuestion.AGENT_FAILED: {"turn_status": "failed", "summary": "It broke."},
    OwnQuestion.TURN_STOPPED: {"turn_status": rules.STOPPED, "turn": 3},
    OwnQuestion.COMMITS_REFUSED: {"turn_status": rules.REFUSED, "evidence": "a line\nanother"},
    OwnQuestion.NOTHING_COMMITTED: {"turn_status": "done", "summary": "All done."},
    OwnQuestion.SAME_FAILURE: {"turn_status": "done", "tested": True, "same_failure": True, "evidence": "red"},
    OwnQuestion.STILL_RED: {"turn_status": "done", "tested": True, "round": 1, "evidence": "red"},
}


_MISSED = {"unmet": ["Books have a title"], "acceptance": "binding", "evidence": "404", "round": 2}
_PLANNED = {"spec": {"acceptance": [{"id": "c1", "sentence": "Books"}]}, "ignored": ["nice"], "taken_back": ["Shops"]}
_READ = {"commit": "a" * 40, "agent": "codex", "findings": [{"severity": "blocker", "text": "It logs passwords"}]}
_UNREAD = {"commit": "a" * 40, "agent": "codex", "problem": "the budget is spent"}
ABOUT_THE_WISH: dict[OwnQuestion, QuestionWording | None] = {
    OwnQuestion.UNMET: acceptance_rules.question(_MISSED)[2],
    OwnQuestion.OBJECTIONS: review_rules.question({"reviewed": _READ})[2],
    OwnQuestion.NOT_REVIEWED: review_rules.question({"reviewed": _UNREAD})[2],
    OwnQuestion.APPROVE_PLAN: QuestionWording.model_validate(acceptance_rules.approval(_PLANNED)["wording"]),
}


@pytest.mark.parametrize("name", list(STATES))
def test_every_question_of_the_platform_can_be_put_in_every_language(name: OwnQuestion) -> None:
    text, choices, wording = rules.engineering_question(STATES[name])
    assert wording is not None
    assert (wording.name, text.strip() == text) == (name.value, True)
    assert choices in ([], ["retry", "stop"])
    for language in LANGUAGES:
        said = texts(language).plain(f"question-{wording.name}", **wording.fields)
        assert all(value in said for value in wording.fields.values())


@pytest.mark.parametrize("name", list(ABOUT_THE_WISH))
def test_what_is_asked_about_the_wish_can_be_put_in_every_language(name: OwnQuestion) -> None:
    wording = ABOUT_THE_WISH[name]
    assert (wording is not None and wording.name) == name.value
    for language in LANGUAGES:
        said = texts(language).plain(f"question-{name.value}", **(wording.fields if wording else {}))
        assert all(value in said for value in (wording.fields.values() if wording else ()))


def test_every_question_is_asked_by_the_graph_about_the_wish_or_at_a_limit() -> None:
    assert set(OwnQuestion) == {*STATES, *ABOUT_THE_WISH, *LIMITS}


def test_what_an_agent_asks_is_its_own() -> None:
    state = {"turn_status": "question", "question": "Какого цвета?", "choices": ["синий"]}
    assert rules.engineering_question(state) == ("Какого цвета?", ["синий"], None)


def test_one_round_is_one_round() -> None:
    for rounds, said in ((1, "after 1 round:"), (3, "after 3 rounds:")):
        assert said in rules.engineering_question({"tested": True, "round": rounds})[0]


def test_evidence_and_what_is_asked_stand_on_lines_of_their_own() -> None:
    for name in (OwnQuestion.COMMITS_REFUSED, OwnQuestion.SAME_FAILURE, OwnQuestion.STILL_RED):
        text, _, _ = rules.engineering_question({**STATES[name], "evidence": "E   assert 1\n" * 900})
        assert text.endswith("\n\nTry again (you may add advice), or stop?")
        cut = text.splitlines()
        assert set(cut[2:-2]) <= {"E   assert 1", "[… cut …]", ""}, "no line is cut in two"
