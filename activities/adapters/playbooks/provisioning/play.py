"""Runs one playbook on one machine, as a program of its own: a `Play` in JSON comes in, lines of JSON go out.

Each task is a line when it begins (`step`); the last line is the `answer`. Of Ansible's own
words the output has what a failed task said, without secrets.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

from activities.adapters.release.directory import write_private
from contracts.errors import ErrorCode, bounded
from contracts.outside_text import cleaned
from contracts.redaction import redacted

_INFRA = Path(__file__).resolve().parents[4] / "infra"
PLAYBOOKS = _INFRA / "playbooks" / "provision"
_ROLES = _INFRA / "roles"
_MAX_TEXT = 3_000
PASSWORD_FILE = "password"
_SETTINGS = {
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_DEPRECATION_WARNINGS": "0",
    "ANSIBLE_RETRY_FILES_ENABLED": "0",
    # A machine that is cut off for a minute answers the sixth time.
    "ANSIBLE_SSH_RETRIES": "6",
    "ANSIBLE_TIMEOUT": "20",
}
_JUDGED = {"assert", "ansible.builtin.assert"}
"""Tasks that fail because of what the machine is: another try would find the same."""


@dataclass(frozen=True)
class Play:
    """`host` are the variables of the machine, `variables` those of the roles; `place` is a directory that is made for
    this run and deleted after it. `code` is the error code of a task that fails."""

    playbook: str
    place: str
    host: dict[str, Any]
    variables: dict[str, Any]
    code: str
    password: str | None = field(default=None, repr=False)


@dataclass
class _Told:
    """What the events of Ansible come to."""

    secrets: list[str]
    step: str = "Connect"
    failure: dict[str, Any] | None = None
    unreachable: str | None = None
    changed: int = 0
    facts: dict[str, Any] | None = None

    def see(self, event: dict[str, Any]) -> bool:
        """Nothing of an event is kept in files."""
        data = event.get("event_data") or {}
        match event.get("event"):
            case "playbook_on_task_start" | "playbook_on_handler_task_start":
                self._begin(str(data.get("name") or data.get("task") or ""))
            case "runner_on_failed" if not data.get("ignore_errors"):
                self.failure = {"text": _said(data.get("res") or {}), "judged": data.get("task_action") in _JUDGED}
            case "runner_on_unreachable":
                self.unreachable = str((data.get("res") or {}).get("msg", ""))
            case "playbook_on_stats":
                self.changed = sum((data.get("changed") or {}).values())
                self.facts = (data.get("artifact_data") or {}).get("facts")
        return False

    def _begin(self, name: str) -> None:
        self.step = name.rpartition(" : ")[2] or self.step
        _say({"step": self.step})

    def answer(self, status: str, code: str) -> dict[str, Any]:
        if status == "successful":
            return {"failed": False, "step": self.step, "changed": self.changed, "facts": self.facts}
        if self.unreachable is not None:
            return self._failure(
                ErrorCode.SERVER_UNREACHABLE, f"The server cannot be reached: {self.unreachable}", True
            )
        if self.failure is None:
            return self._failure(ErrorCode.PLAYBOOK_LOST, f"Ansible ended unexpectedly ({status}).", True)
        return self._failure(code, f"{self.step}: {self.failure['text']}", not self.failure["judged"])

    def _failure(self, code: str, text: str, retryable: bool) -> dict[str, Any]:
        said = bounded(cleaned(redacted(text, self.secrets)), _MAX_TEXT)
        return {"failed": True, "step": self.step, "code": code, "msg": said, "retryable": retryable}


def _said(result: dict[str, Any]) -> str:
    """What a failed task said: its own words, else what its program wrote."""
    parts = [str(result.get(name) or "").strip() for name in ("msg", "stderr", "stdout")]
    items = [str(item.get("msg") or "") for item in result.get("results") or [] if item.get("failed")]
    return bounded("\n".join(dict.fromkeys(part for part in [*parts[:2], *items] if part)) or parts[2], _MAX_TEXT)


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


@contextmanager
def _place(play: Play) -> Iterator[Path]:
    """A killed run leaves its directory to the next one of that name, and to the sweep of the platform's start."""
    place = Path(play.place)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700, parents=True)
    try:
        if play.password is not None:
            write_private(place / PASSWORD_FILE, play.password)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def main() -> int:
    play = Play(**json.load(sys.stdin))
    told = _Told([play.password] if play.password else [])
    # The path of a socket is short, and that of the state directory may be long.
    with _place(play) as place, tempfile.TemporaryDirectory(prefix="play-") as sockets:
        runner = ansible_runner.run(
            private_data_dir=str(place),
            ident="run",
            playbook=play.playbook,
            project_dir=str(PLAYBOOKS),
            roles_path=str(_ROLES),
            inventory={"all": {"hosts": {"machine": play.host}}},
            extravars=play.variables,
            envvars=_SETTINGS
            | {"HOME": str(place), "ANSIBLE_HOME": str(place / "ansible"), "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets},
            event_handler=told.see,
            quiet=True,
        )
    answer = told.answer(runner.status, play.code)
    _say({"answer": answer})
    return 1 if answer["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
