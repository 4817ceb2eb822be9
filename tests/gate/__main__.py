"""`python -m tests.gate`: runs the suites of `make test` and the parts of `make test-deep`, and says what they took."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.gate.busy import busy
from tests.gate.records import Records, tree
from tests.gate.report import Outcome, report
from tests.gate.suites import ROOT, Suite, Table, chosen
from tests.gate.times import FILE

TIMES = ROOT / "build" / "gate"
_FIRST = "check"
"""What is red here is red everywhere, and reported immediately."""


def run(suite: Suite, *more: str) -> Outcome:
    """Run one suite to its end, with its output on this terminal."""
    TIMES.mkdir(parents=True, exist_ok=True)
    file = TIMES / f"{suite.name}.json"
    file.unlink(missing_ok=True)
    _say(f"== {suite.name}")
    began = time.monotonic()
    environment = {**os.environ, FILE: str(file), **suite.environment}
    with _own_files(suite) as directory:
        code = subprocess.run(_command(suite, directory, more), cwd=ROOT, env=environment, check=False).returncode
    seconds = time.monotonic() - began
    return Outcome(suite.name, seconds, suite.budget_s, code, _times(file))


@contextmanager
def _own_files(suite: Suite) -> Iterator[Path]:
    """Where this run's tests keep their files.

    pytest's default is shared by all of a user's runs, and each closes it again to other users, of whom PostgreSQL's
    is one, also to those that are running.
    """
    directory = Path(tempfile.mkdtemp(prefix=f"{suite.name[:8]}-"))
    try:
        yield directory / "t"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _command(suite: Suite, directory: Path, more: Sequence[str]) -> list[str]:
    if not suite.is_pytest:
        return list(suite.command)
    select = ("-m", suite.select) if suite.select else ()
    return [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.gate.times",
        f"--basetemp={directory}",
        *suite.paths,
        *select,
        *suite.options,
        *more,
    ]


def _times(file: Path) -> dict[str, float]:
    return dict(json.loads(file.read_text())) if file.exists() else {}


def test(suites: Sequence[Suite], loops: int) -> int:
    """Every suite, also after a red one: one run tells everything. Without the checks nothing else is worth a run."""
    outcomes: list[Outcome] = []
    with busy(loops):
        for suite in suites:
            outcomes.append(run(suite))
            if suite.name == _FIRST and not outcomes[-1].is_green:
                break
    beside = f", beside {loops} busy loops" if loops else ""
    return _end(f"make test{beside}", outcomes)


def deep(parts: Sequence[Suite]) -> int:
    """Each part; a green one is recorded for the files that it ran on."""
    records, seed = Records(), os.environ.get("CHAOS_SEED", "1")
    outcomes = []
    for part in parts:
        before = tree()
        more = (f"--hypothesis-seed={seed}",) if part.is_pytest else ()
        outcomes.append(run(part, *more))
        if outcomes[-1].is_green and tree() == before:
            records.keep(before, part.name, outcomes[-1].seconds)
    code = _end("make test-deep", outcomes)
    status(Table.read().deep)
    return code


def status(parts: Sequence[Suite]) -> int:
    """What was green for the files as they are now; the exit code says whether anything is open."""
    now = tree()
    green = Records().green(now)
    _say(f"\n== make test-deep, for tree {now[:12]}")
    for part in parts:
        _say(f"{part.name:<16} {green.get(part.name, 'open')}")
    return 0 if all(part.name in green for part in parts) else 1


def _end(title: str, outcomes: Sequence[Outcome]) -> int:
    _say(f"\n== {title}\n{report(outcomes)}")
    green = all(outcome.is_green for outcome in outcomes)
    _say("\nAll tests are green." if green else "\nNot green.")
    return 0 if green else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gate", description=__doc__)
    commands = parser.add_subparsers(required=True)
    table = Table.read()

    def command(name: str, suites: Sequence[Suite], action: Callable[[list[Suite], argparse.Namespace], int]) -> None:
        one = commands.add_parser(name)
        one.add_argument("names", nargs="*", metavar="NAME", help=", ".join(suite.name for suite in suites))
        if name == "test":
            one.add_argument("--busy", type=int, default=0, metavar="N", help="busy loops beside the tests")
        one.set_defaults(action=lambda options: action(chosen(suites, options.names), options))

    command("test", table.gate, lambda suites, options: test(suites, options.busy))
    command("deep", table.deep, lambda parts, _: deep(parts))
    command("status", table.deep, lambda parts, _: status(parts))
    options = parser.parse_args(arguments)
    try:
        return int(options.action(options))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
