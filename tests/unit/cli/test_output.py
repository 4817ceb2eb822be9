"""Nothing that comes from outside steers the terminal."""

import json

import pytest

from cli.terminal.output import Output, clean, shortened, write_error


@pytest.mark.parametrize(
    "hostile", ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "a\rb", "a\x00b", "\u202egpj.exe", "\ud800", "\x7f"]
)
def test_what_a_terminal_would_obey_is_replaced(hostile: str) -> None:
    shown = clean(hostile)
    assert "\N{REPLACEMENT CHARACTER}" in shown
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F for char in shown)


def test_ordinary_text_stays_as_it_is() -> None:
    text = "Сделай блог\n\tс [red]пометкой[/red] :smile: 🚀"
    assert clean(text) == text


def test_markup_in_a_cell_is_printed_literally(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=False)
    out.table(("TITLE",), [("[red]x[/red] :smile:",)], empty="none")
    out.say("[bold]y[/bold]")
    shown = capsys.readouterr().out
    assert "[red]x[/red] :smile:" in shown
    assert "[bold]y[/bold]" in shown


def test_with_json_only_documents_are_printed_and_they_are_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=True)
    out.say("for people")
    out.facts([("a", 1)])
    out.table(("A",), [(1,)], empty="none")
    out.document({"text": "\x1b[31mблог"})
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert json.loads(shown) == {"text": "\x1b[31mблог"}


def test_an_error_message_from_the_server_cannot_colour_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    write_error("NOT_FOUND", "no \x1b[31mtask [red]x[/red]", {"request_id": "r\x1b[0m"}, as_json=False)
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert "[red]x[/red]" in shown


def test_the_line_ends_of_a_terminal_log_are_line_ends() -> None:
    assert clean("one\r\ntwo\r\n") == "one\ntwo\n"


def test_what_is_left_out_of_a_line_is_marked() -> None:
    assert shortened("a question\nof two lines", 60) == "a question of two lines"
    assert shortened("watered:bool", 9) == "watered:…"
