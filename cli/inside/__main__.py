"""`orchestrator ask` and `orchestrator report`, inside of a turn. Everything else is refused with what there is.

Exit codes: 0 written, 2 wrong use, 3 a command that is not available here, 4 the outcome cannot be written.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from cli.inside import profiles
from cli.inside.outcome import MAX_CHOICE, MAX_CHOICES, MAX_ITEMS, MAX_TEXT, Outcome, Refused, save

_USE, _NOT_HERE, _UNWRITABLE = 2, 3, 4
_ELSEWHERE = """The platform does the rest itself: it pushes commits, runs the tests, deploys and shows progress.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    told = list(sys.argv[1:] if arguments is None else arguments)
    if not told or told[0] in {"--help", "-h", "help"}:
        sys.stdout.write(profiles.allowed() + _ELSEWHERE)
        return 0
    if told[0] not in profiles.COMMANDS[profiles.current()]:
        # Not repeated: the word could be a secret in the wrong place.
        sys.stderr.write("This command is not available inside a turn.\n" + profiles.allowed() + _ELSEWHERE)
        return _NOT_HERE
    try:
        outcome, advice = _asked(told[1:]) if told[0] == "ask" else _reported(told[1:])
        save(outcome)
    except Refused as refused:
        sys.stderr.write(f"{refused}\n")
        return _UNWRITABLE
    sys.stdout.write(f"{advice}\n")
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(_USE, f"{message}\n{profiles.allowed()}")


def _asked(told: list[str]) -> tuple[Outcome, str]:
    parser = _Parser(
        "orchestrator ask", description="Ask the person the one question that stops you; end your turn then."
    )
    parser.add_argument("question")
    parser.add_argument("--choice", action="append", default=[], help="a possible answer; may be repeated")
    chosen = parser.parse_args(told)
    question = _text(parser, chosen.question, "The question")
    choices = [_text(parser, one, "A choice", MAX_CHOICE) for one in chosen.choice]
    if len(choices) > MAX_CHOICES:
        parser.error(f"At most {MAX_CHOICES} choices.")
    return (
        Outcome("question", question=question, choices=choices),
        "The question is written down. Commit what you have and end your turn now; the answer begins the next one.",
    )


def _reported(told: list[str]) -> tuple[Outcome, str]:
    parser = _Parser("orchestrator report", description="Say how your turn ended.")
    status = parser.add_mutually_exclusive_group(required=True)
    status.add_argument("--done", metavar="SUMMARY", help="the work is committed; what you did")
    status.add_argument("--failed", metavar="SUMMARY", help="it cannot be done; why")
    parser.set_defaults(file=[], built=[], left_out=[])
    if profiles.changes_code():
        parser.add_argument("--file", action="append", default=[], help="a changed file; may be repeated")
        parser.add_argument("--built", action="append", default=[], help="a clause of the description that you built")
        parser.add_argument("--left-out", action="append", default=[], help="a clause that you did not build")
    chosen = parser.parse_args(told)
    done = chosen.done is not None
    summary = _text(parser, chosen.done if done else chosen.failed, "The summary")
    if max(len(chosen.built) + len(chosen.left_out), len(chosen.file) // 20) > MAX_ITEMS:
        parser.error(f"At most {MAX_ITEMS} clauses and {MAX_ITEMS * 20} files.")
    outcome = Outcome(
        "done" if done else "failed", summary, files=chosen.file, built=chosen.built, left_out=chosen.left_out
    )
    return outcome, "Your report is written down. Nothing is pushed from here: the platform takes your commits."


def _text(parser: _Parser, said: str, what: str, limit: int = MAX_TEXT) -> str:
    text = said.strip()
    if not text:
        parser.error(f"{what} is empty.")
    if len(text) > limit:
        parser.error(f"{what} is too long: at most {limit} signs.")
    return text


if __name__ == "__main__":
    sys.exit(main())
