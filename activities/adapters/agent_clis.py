"""What differs between the command lines of CLI agents: arguments, environment, and the stream they write.

Everything that an agent writes is untrusted: lines may be garbage, endless, or claim anything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from contracts.errors import bounded
from contracts.states import AgentKind

_SCRIPTED_AGENT = Path(__file__).with_name("scripted_agent")
_PYTHON = Path(sys.executable)
_MAX_EVENT = 600
_MAX_TEXT = 20_000
_MAX_SESSION_ID = 200
_SHOWN_ARGUMENTS = ("file_path", "path", "command", "pattern", "query", "url", "description")
_OUTCOME_RULES = (
    "You work without a person at the keyboard. Commit your work with git; do not push. Before you finish, write "
    'one JSON object to the file named by the environment variable ORCHESTRATOR_OUTCOME: {"status": "done", '
    '"question" or "failed", "summary": what you did, "question": the one question that stops you, "choices": '
    'possible answers, "files": changed files}.'
)


@dataclass
class AgentReport:
    """What the stream has said so far. `finished`: the agent's own result has been seen."""

    session_id: str | None = None
    finished: bool = False
    is_error: bool = False
    text: str = ""
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    session_unknown: bool = False


class StreamReader(Protocol):
    """Reads one agent's output, line by line."""

    report: AgentReport

    def feed(self, line: bytes) -> list[str]:
        """Take one line; return what a person would like to see of it, each at most 600 characters."""


class AgentCli(Protocol):
    """One program. `programs` are the files that the agent's user must be able to reach."""

    @property
    def kind(self) -> AgentKind: ...

    @property
    def programs(self) -> list[Path]: ...

    def argv(self, prompt: str, session_id: str | None, privileged: bool) -> list[str]:
        """The command line; `privileged` says that it will run as root."""

    def environment(self, home: Path, own_user: bool) -> dict[str, str]:
        """What this program needs; `own_user` says that it cannot write to directories of the platform."""

    def reader(self) -> StreamReader: ...


@dataclass
class StreamJson:
    """The `stream-json` lines of Claude Code, which the scripted agent writes too."""

    report: AgentReport = field(default_factory=AgentReport)

    def feed(self, line: bytes) -> list[str]:
        event = _object(line)
        if event is None:
            text = line.decode(errors="replace").strip()
            if "No conversation found with session ID" in text:
                self.report.session_unknown = True
            return [bounded(text, _MAX_EVENT)] if text else []
        session_id = event.get("session_id")
        if isinstance(session_id, str) and 0 < len(session_id) <= _MAX_SESSION_ID:
            self.report.session_id = session_id
        if event.get("type") == "result":
            self._finish(event)
            return []
        return _shown(event) if event.get("type") == "assistant" else []

    def _finish(self, event: dict[str, Any]) -> None:
        usage = event.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        errors = event.get("errors")
        text = event.get("result") or (" ".join(map(str, errors)) if isinstance(errors, list) else "")
        self.report.finished = True
        self.report.is_error = event.get("is_error") is True or event.get("subtype") != "success"
        self.report.text = bounded(str(text), _MAX_TEXT)
        self.report.session_unknown |= "No conversation found with session ID" in str(text)
        self.report.cost_usd = _number(event.get("total_cost_usd"))
        self.report.input_tokens = _total(
            usage, "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"
        )
        self.report.output_tokens = _total(usage, "output_tokens")


@dataclass(frozen=True)
class ClaudeCode:
    """`claude -p`. It refuses to skip permissions as root, and then says so in its output.

    `extra_environment` names the model endpoint (ANTHROPIC_BASE_URL and its token).
    """

    program: Path
    extra_environment: Mapping[str, str] = field(default_factory=dict)
    kind: AgentKind = AgentKind.CLAUDE_CODE

    @property
    def programs(self) -> list[Path]:
        return [self.program]

    def argv(self, prompt: str, session_id: str | None, privileged: bool) -> list[str]:
        resume = ["--resume", session_id] if session_id else []
        return [
            str(self.program), "-p", prompt, "--output-format", "stream-json", "--verbose",
            "--dangerously-skip-permissions", "--append-system-prompt", _OUTCOME_RULES, *resume,
        ]  # fmt: skip

    def environment(self, home: Path, own_user: bool) -> dict[str, str]:
        return {
            **self.extra_environment,
            "CLAUDE_CONFIG_DIR": str(home / ".claude"),
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }

    def reader(self) -> StreamReader:
        return StreamJson()


@dataclass(frozen=True)
class ScriptedAgent:
    """The bundled script with the same interface.

    `run_log` counts its runs from outside; under a user of its own it is `scripted-agent.jsonl` in its home.
    """

    program: Path = _SCRIPTED_AGENT
    python: Path = _PYTHON
    run_log: Path | None = None
    extra_environment: Mapping[str, str] = field(default_factory=dict)
    kind: AgentKind = AgentKind.SCRIPTED

    @property
    def programs(self) -> list[Path]:
        return [self.python, self.program / "__main__.py"]

    def argv(self, prompt: str, session_id: str | None, privileged: bool) -> list[str]:
        resume = ["--resume", session_id] if session_id else []
        # Like the real agent it refuses to skip permissions as root; it has none to skip.
        skip = [] if privileged else ["--dangerously-skip-permissions"]
        return [
            str(self.python), str(self.program), "-p", prompt, "--output-format", "stream-json", "--verbose",
            *skip, *resume,
        ]  # fmt: skip

    def environment(self, home: Path, own_user: bool) -> dict[str, str]:
        run_log = home / "scripted-agent.jsonl" if own_user else self.run_log
        log = {"SCRIPTED_AGENT_RUN_LOG": str(run_log)} if run_log else {}
        return {**self.extra_environment, **log, "CLAUDE_CONFIG_DIR": str(home / ".claude")}

    def reader(self) -> StreamReader:
        return StreamJson()


def _shown(event: dict[str, Any]) -> list[str]:
    message = event.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    blocks = content[:50] if isinstance(content, list) else []
    lines = (_block(block) for block in blocks if isinstance(block, dict))
    return [bounded(line, _MAX_EVENT) for line in lines if line.strip()]


def _block(block: dict[str, Any]) -> str:
    if block.get("type") == "text":
        return str(block.get("text", ""))
    if block.get("type") != "tool_use":
        return ""
    arguments = block.get("input")
    known = arguments if isinstance(arguments, dict) else {}
    detail = next((str(known[key]) for key in _SHOWN_ARGUMENTS if known.get(key)), "")
    return f"{block.get('name', 'tool')}: {detail}" if detail else str(block.get("name", "tool"))


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _number(value: object) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if good and isinstance(value, int | float) else None


def _total(usage: dict[str, Any], *names: str) -> int | None:
    found = [number for name in names if (number := _number(usage.get(name))) is not None]
    return int(sum(found)) if found else None
