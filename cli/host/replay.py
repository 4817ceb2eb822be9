"""`orchestrator replay`: do the installed workflows still agree with recorded histories?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.client.home import effective_settings
from cli.host.parts import child_environment, environment
from cli.terminal import inputs
from cli.terminal.exits import ExitCode
from cli.terminal.options import AsJson
from cli.terminal.output import clean
from contracts.errors import ErrorCode, OrchestratorError


def replay(
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="Histories, as JSON files.")] = None,
    query: Annotated[
        str | None,
        typer.Option(
            "--query",
            metavar="QUERY",
            help="Replay the runs that this query finds in Temporal, such as ProjectName='notes'.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    if not files and query is None:
        raise inputs.refuse("Give one or more history files, or use --query to replay runs from Temporal.")
    for file in files or []:
        if not _is_file(file):
            raise inputs.refuse(f"There is no history file {str(file)!r}.")
    arguments = [*(str(file.absolute()) for file in files or [])]
    if query is not None:
        arguments += ["--query", inputs.text(query, "The query", 2000)]
    arguments += ["--json"] if as_json else []
    done = subprocess.run(
        [sys.executable, "-m", "workers.replay", *arguments],
        env=environment(child_environment(effective_settings())),
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode not in {ExitCode.OK, ExitCode.FAILED}:
        raise _reason(done.stderr, done.returncode)
    sys.stderr.write(clean(done.stderr))
    return done.returncode


def _reason(said: str, returncode: int) -> OrchestratorError:
    """What the replaying process said on its last line: `CODE: message`."""
    last = (said.strip().splitlines() or [f"The replay ended with exit code {returncode}."])[-1]
    code, _, message = last.partition(": ")
    if message and code in set(ErrorCode):
        return OrchestratorError(ErrorCode(code), message)
    return OrchestratorError(ErrorCode.INTERNAL, last)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # Longer than a path can be, or with a NUL: no file has that name.
        return False
