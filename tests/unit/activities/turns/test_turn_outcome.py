"""What a turn means by its exit code, its result line and the file that it left, none of which is trusted."""

import json

import pytest

from activities.adapters.agents.base import AgentReport
from activities.adapters.agents.outcome import EndedTurn, outcome_of, parsed_claim
from activities.adapters.runs.states import RunStatus
from contracts.agent_workers import TurnOutcome
from contracts.artifacts import ArtifactRef
from contracts.states import AgentKind
from contracts.steps import TurnRequest

TOLD = AgentReport(session_id="s1", finished=True, text="all good")
SILENT = AgentReport(session_id="s1")
REQUEST = TurnRequest(
    worker_id="eng-1", turn=1, request_id="r1", task_id="eng-1", project_id="p1", agent=AgentKind.SCRIPTED, message="go"
)


def outcome(report: AgentReport, exit_code: int = 0, **claimed: object) -> TurnOutcome:
    ended = EndedTurn("turn-eng-1-1", RunStatus("turn-eng-1-1", "exited", exit_code=exit_code), report, 0)
    claim = parsed_claim(json.dumps(claimed).encode()) if claimed else None
    transcript = ArtifactRef(uri=f"artifact://{'0' * 64}/turn-1.jsonl", sha256="0" * 64, size_bytes=0)
    return outcome_of(REQUEST, ended, claim, transcript, fresh=False)


@pytest.mark.parametrize(
    ("report", "exit_code", "claimed", "reason"),
    [
        (TOLD, 3, {"status": "done", "summary": ""}, "all good"),
        (SILENT, 3, {}, "exit code 3"),
        (SILENT, 0, {}, "without a result"),
        (TOLD, 0, {"status": "failed", "summary": "too hard"}, "too hard"),
    ],
)
def test_an_agent_that_failed_cannot_claim_to_be_done(
    report: AgentReport, exit_code: int, claimed: dict[str, object], reason: str
) -> None:
    failed = outcome(report, exit_code, **claimed)
    assert failed.status == "failed"
    assert reason in failed.summary


def test_a_turn_whose_result_line_was_lost_counts_by_what_the_agent_left() -> None:
    done = outcome(SILENT, status="done", summary="three files")
    assert (done.status, done.summary) == ("done", "three files")


@pytest.mark.parametrize("question", [None, " ", "\x01\x1b[0m"])
def test_a_question_without_words_is_none(question: str | None) -> None:
    done = outcome(TOLD, status="question", question=question)
    assert (done.status, done.question) == ("done", None)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"status": "root"}', '{"status": "done", "summary": 5}', "x" * 99])
def test_a_file_that_says_nothing_is_no_claim(content: str) -> None:
    assert parsed_claim(content.encode()) is None


def test_what_an_agent_left_out_is_believed_and_what_it_built_is_not_proven() -> None:
    said = [
        {
            "id": "a",
            "sentence": "books has title.",
            "words": "Books: title",
            "state": "met",
            "proof": {"reference": "x"},
        },
        {"sentence": "Not understood.", "words": "Sort \x00 them", "state": "not_met"},
        {"sentence": "s" * 999, "words": "w" * 999},
        "nonsense",
        {"words": "without a sentence"},
    ]
    found = outcome(TOLD, status="done", criteria=said).criteria
    assert [(one.state.value, one.proof) for one in found] == [("open", None), ("not_met", None), ("open", None)]
    assert "\x00" not in found[1].words
    assert (len(found[2].sentence), len(found[2].words)) <= (200, 500)


@pytest.mark.parametrize("said", [None, 5, [], {}, {"sentence": " "}, {"sentence": "\x01\0"}, {"sentence": None}])
def test_criteria_of_another_form_spoil_no_claim(said: object) -> None:
    good = {"sentence": "a", "words": "\0b"}
    found = outcome(TOLD, status="done", summary="x", criteria=[said, good]).criteria
    assert [(one.sentence, one.words) for one in found] == [("a", "b")]


def test_choices_without_words_are_not_offered() -> None:
    asked = outcome(TOLD, status="question", question="Which?", choices=["\x01", "\x1b[31m", "one", " "])
    assert asked.choices == ["one"]


def test_the_token_of_the_turn_is_in_nothing_that_an_outcome_says() -> None:
    token = "omt-Zk3_vQ8-aaBBccDDeeFFggHH"
    texts = {"summary": token, "question": f"is it {token}?", "choices": [token], "files": [f"{token}.txt"]}
    criteria = [{"sentence": token, "words": token}]
    report = AgentReport(session_id=token, finished=True, text=token)
    for claimed in ({"status": "question"}, {"status": "done", "criteria": criteria, "document": {"a": token}}, {}):
        said = outcome(report, **({**texts, **claimed} if claimed else {}))
        assert token not in said.model_dump_json()
        assert "[hidden]" in said.summary
