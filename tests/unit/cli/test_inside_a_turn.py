"""What a turn may say to the platform, from inside of its container: one file, and nothing else."""

import json
from pathlib import Path

import pytest

from activities.adapters.agents.outcome import parsed_claim
from cli.inside.__main__ import main
from cli.inside.outcome import MAX_BYTES


@pytest.fixture
def outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORCHESTRATOR_OUTCOME", str(tmp_path / "turn-1.json"))
    monkeypatch.delenv("ORCHESTRATOR_PROFILE", raising=False)
    return tmp_path / "turn-1.json"


def test_a_question_is_what_the_platform_reads(outcome: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", " Which currency? ", "--choice", "EUR", "--choice", "USD"]) == 0
    claim = parsed_claim(outcome.read_bytes())
    assert claim is not None
    assert (claim.status, claim.question, claim.choices) == ("question", "Which currency?", ["EUR", "USD"])
    assert "end your turn" in capsys.readouterr().out


def test_a_report_says_what_was_built_and_what_was_not(outcome: Path) -> None:
    assert main(["report", "--done", "A blog", "--file", "a.py", "--built", "posts", "--left-out", "mail"]) == 0
    claim = parsed_claim(outcome.read_bytes())
    assert claim is not None
    assert (claim.status, claim.summary, claim.files) == ("done", "A blog", ["a.py"])
    assert [(one["sentence"], one["state"]) for one in json.loads(outcome.read_bytes())["criteria"]] == [
        ("posts", "open"),
        ("mail", "not_met"),
    ]


def test_a_later_word_replaces_an_earlier_one_and_leaves_no_draft(outcome: Path) -> None:
    main(["ask", "Which?"])
    assert main(["report", "--failed", "No way"]) == 0
    claim = parsed_claim(outcome.read_bytes())
    assert claim is not None
    assert (claim.status, claim.question) == ("failed", None)
    assert list(outcome.parent.iterdir()) == [outcome]


@pytest.mark.parametrize("profile", ["developer", "product-owner", "devops", "root", ""])
def test_everything_else_is_refused_with_what_there_is(
    outcome: Path, profile: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_PROFILE", profile)
    for command in ("deploy", "secret", "user", "up", "s3cr3t-value"):
        assert main([command, "x"]) == 3
        said = capsys.readouterr().err
        assert "orchestrator ask" in said
        assert "orchestrator report" in said
        assert "s3cr3t" not in said
    assert not outcome.exists()


@pytest.mark.parametrize(
    "told",
    [
        ["ask"],
        ["ask", "  "],
        ["ask", "x", "--choice", "y" * 201],
        ["ask", "x", *["--choice", "y"] * 11],
        ["report"],
        ["report", "--done", "a", "--failed", "b"],
        ["report", "--done", "x" * 20_001],
        ["report", "--done", "x", *["--built", "y"] * 51],
    ],
)
def test_wrong_use_writes_nothing(outcome: Path, told: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(told)
    assert ended.value.code == 2
    assert not outcome.exists()


def test_what_the_platform_would_not_read_is_refused(outcome: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [word for number in range(900) for word in ("--file", f"{number}/{'x' * 300}")]
    assert main(["report", "--done", "x", *files]) == 4
    assert f"{MAX_BYTES // 1024} KB" in capsys.readouterr().err
    assert not outcome.exists()


def test_outside_of_a_turn_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("ORCHESTRATOR_OUTCOME", raising=False)
    assert main(["report", "--done", "x"]) == 4
    assert "not a turn" in capsys.readouterr().err


def test_bytes_that_are_no_text_do_not_stop_a_report(outcome: Path) -> None:
    assert main(["report", "--done", "broken \udcff byte"]) == 0
    assert parsed_claim(outcome.read_bytes()) is not None


def test_help_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.count("orchestrator ask") == 2


@pytest.mark.parametrize("profile", ["product-owner", "devops"])
def test_who_changes_no_code_has_no_files_and_clauses_to_report(
    outcome: Path, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_PROFILE", profile)
    with pytest.raises(SystemExit):
        main(["report", "--done", "A plan", "--file", "a.py"])
    assert not outcome.exists()
    assert main(["report", "--done", "A plan"]) == 0
