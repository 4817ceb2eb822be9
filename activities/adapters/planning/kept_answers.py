"""What judges have answered, on this machine: a turn that was paid for is not asked again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.base import Contract
from contracts.planning import Judge


class Answer(Contract):
    """What a turn has left: `document` as JSON, empty if it has none, and then why as `problem`."""

    document: str = ""
    problem: str = ""


@dataclass(frozen=True)
class KeptAnswers:
    """A file for each answer, named after the turn and all that it was asked: other words are another question."""

    directory: Path

    def get(self, name: str) -> Answer | None:
        try:
            return Answer.model_validate_json((self.directory / f"{name}.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def put(self, name: str, answer: Answer) -> None:
        """Whole or not at all; a second call writes the same."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.directory / f"{name}.draft"
        draft.write_text(answer.model_dump_json())
        draft.replace(self.directory / f"{name}.json")


def name_of(judge: Judge, role: str, turn: int, prompt: str, files: Mapping[str, str]) -> str:
    """The name of an answer: the agent worker, its turn, and a digest of what it is asked."""
    asked = json.dumps([judge.agent.value, judge.model, prompt, dict(sorted(files.items()))])
    return f"{judge.worker_id(role)}-{turn}-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
