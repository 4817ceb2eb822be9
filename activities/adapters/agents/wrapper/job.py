"""What the platform asks of one turn: a JSON file, since arguments and variables can be read by others."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

TOKEN_VARIABLE = "ORCHESTRATOR_MODEL_TOKEN"
"""Holds the token of the turn's model; `{token}` in a configuration file of the agent stands for it."""
TOKEN_MARK = "{token}"
_SESSION = "{session}"


@dataclass(frozen=True)
class Job:
    """One turn.

    `runner`: acp (the Agent Client Protocol) or exec (a program that ends with its turn). `argv` starts the agent; with
    exec the prompt is its standard input, `resume_argv` continues `{session}`, and `lines` names what it prints.
    `files` are configuration files of the agent, relative to its home. `options` are set in the session, in order.
    `silence_s`: without a sign of life for so long, and without an open request to the model, a turn has hung.
    """

    agent: str
    runner: str
    argv: list[str]
    prompt: str
    workspace: str
    resume_argv: list[str] = field(default_factory=list)
    lines: str = ""
    session_id: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    mode: str | None = None
    options: list[list[str]] = field(default_factory=list)
    control: str = ""
    model_socket: str = ""
    model_port: int = 8183
    silence_s: float = 600.0
    start_s: float = 240.0
    cancel_s: float = 10.0

    @property
    def names_session(self) -> bool:
        """Whether the program takes the id of a new session in its arguments."""
        return any(_SESSION in word for word in self.argv)

    def arguments(self, session_id: str, *, continues: bool) -> list[str]:
        """The command line for a new session, or for one that goes on."""
        template = self.resume_argv if continues and session_id else self.argv
        return [word.replace(_SESSION, session_id) for word in template]

    @classmethod
    def parse(cls, content: bytes) -> Job:
        """Of what a newer platform says, what is known here."""
        values: dict[str, Any] = json.loads(content)
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


def taken(path: Path) -> Job:
    """The job; its file is removed, since the agent has no use for it."""
    content = path.read_bytes()
    path.unlink()
    return Job.parse(content)


def environment_of(job: Job, own: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of the agent: those of its container and its own."""
    return {name: value for name, value in own.items() if name != TOKEN_VARIABLE} | job.environment


def write_files(job: Job, home: Path, token: str) -> None:
    """The agent's configuration, as the platform wants it at each turn. Only the agent's user can read it."""
    for name, content in job.files.items():
        path = home / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content.replace(TOKEN_MARK, token))


def remove_token(job: Job, home: Path) -> None:
    """Remove what has the token in it: the agent's home outlives the turn."""
    for name, content in job.files.items():
        if TOKEN_MARK in content:
            (home / name).unlink(missing_ok=True)
