"""The command line: that of a headless CLI agent."""

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..writing.workspace import Workspace, WorkspaceError
from .sessions import Session, Sessions
from .stream import Stream
from .turn import Outcome, Turn

VERSION = "0.1.0"
IGNORED_WITH_VALUE = (
    *("--model", "--fallback-model", "--permission-mode", "--max-turns", "--input-format", "--add-dir"),
    *("--append-system-prompt", "--system-prompt", "--allowedTools", "--disallowedTools"),
    *("--mcp-config", "--settings"),
)


class UsageError(Exception):
    """The call is wrong; the text is what the real agent would say."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"error: {message}")


def main(arguments: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> int:
    """Exit code 0 for a result or a question, 1 for a failure or a wrong call."""
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments, env)
        prompt = options.prompt or sys.stdin.read()
        if not prompt.strip():
            raise UsageError("Error: Input must be given through stdin or as a prompt argument with --print")
        session = _session(Sessions.from_env(env), options.resume)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return _run(prompt, session, options, env)


def parse(arguments: Sequence[str], env: Mapping[str, str]) -> argparse.Namespace:
    parser = Parser(prog="scripted-agent", description="A coding agent that is a script and not a model.")
    parser.add_argument("prompt", nargs="?")
    parser.add_argument("-p", "--print", action="store_true", help="headless: print the result and exit")
    parser.add_argument("--output-format", choices=("text", "json", "stream-json"), default="text")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--dangerously-skip-permissions", action="store_true")
    parser.add_argument("-r", "--resume", metavar="SESSION_ID")
    parser.add_argument("--version", action="version", version=f"{VERSION} (scripted agent)")
    for name in IGNORED_WITH_VALUE:
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    _check(options, env)
    return options


def _check(options: argparse.Namespace, env: Mapping[str, str]) -> None:
    if not options.print:
        raise UsageError("Error: only the headless mode exists: use -p")
    if options.output_format == "stream-json" and not options.verbose:
        raise UsageError("Error: When using --print, --output-format=stream-json requires --verbose")
    if options.dangerously_skip_permissions and os.geteuid() == 0 and env.get("IS_SANDBOX") != "1":
        raise UsageError("--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons")


def _session(sessions: Sessions, resumed: str | None) -> Session:
    if resumed is None:
        return sessions.create()
    session = sessions.load(resumed)
    if session is None:
        raise UsageError(f"No conversation found with session ID: {resumed}")
    return session


def _run(prompt: str, session: Session, options: argparse.Namespace, env: Mapping[str, str]) -> int:
    log = RunLog(env.get("SCRIPTED_AGENT_RUN_LOG"), session.id, prompt)
    log.write("start")
    stream = Stream(session.id, str(Path.cwd()), options.output_format)
    stream.start()
    outcome = _outcome(Turn(prompt, Workspace(Path.cwd()), session, stream))
    session.turns.append(outcome.summary)
    Sessions.from_env(env).save(session)
    _write_outcome(outcome, env.get("ORCHESTRATOR_OUTCOME"))
    if outcome.status != "failed":
        stream.say(outcome.summary)
    stream.finish(outcome.summary, failed=outcome.status == "failed")
    log.write("end")
    return 1 if outcome.status == "failed" else 0


def _outcome(turn: Turn) -> Outcome:
    try:
        return turn.run()
    except (WorkspaceError, OSError, UnicodeDecodeError) as error:
        return Outcome("failed", f"The workspace cannot be changed: {error}")


def _write_outcome(outcome: Outcome, path: str | None) -> None:
    if path:
        target = Path(path)
        temporary = target.with_name(f".{target.name}.writing")
        temporary.write_text(json.dumps(outcome.document(), ensure_ascii=False, indent=2), encoding="utf-8")
        temporary.replace(target)


class RunLog:
    """One line per start and end, so that a test can count runs from outside."""

    def __init__(self, path: str | None, session_id: str, prompt: str) -> None:
        self.path = path
        self.facts: dict[str, Any] = {
            "pid": os.getpid(),
            "session": session_id,
            "prompt": hashlib.sha256(prompt.encode()).hexdigest(),
        }

    def write(self, event: str) -> None:
        if not self.path:
            return
        line = json.dumps({"event": event, "time": time.time(), **self.facts}) + "\n"
        # One write in append mode: lines of several agents never mix.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
