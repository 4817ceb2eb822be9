"""What the agent remembers between turns: one file per session."""

import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Session:
    """`asked` and `answers` in order; `turns` are summaries of what was done.

    `unclear` are the words that the last question is about, `completes` those that an answer stands for.
    """

    id: str
    asked: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)
    unclear: str = ""
    completes: dict[str, str] = field(default_factory=dict)


class Sessions:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Sessions":
        home = env.get("CLAUDE_CONFIG_DIR")
        root = Path(home) if home else Path(env.get("HOME") or Path.home()) / ".scripted-agent"
        return cls(root / "scripted-sessions")

    def create(self) -> Session:
        session = Session(str(uuid.uuid4()))
        self.save(session)
        return session

    def load(self, session_id: str) -> Session | None:
        """None when the session is not known here."""
        file = self._file(session_id)
        if file is None or not file.is_file():
            return None
        return Session(**json.loads(file.read_text(encoding="utf-8")))

    def save(self, session: Session) -> None:
        file = self._file(session.id)
        if file is None:
            raise ValueError(f"not a session id: {session.id!r}")
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".writing")
        temporary.write_text(json.dumps(asdict(session), ensure_ascii=False), encoding="utf-8")
        temporary.replace(file)

    def _file(self, session_id: str) -> Path | None:
        return self.folder / f"{session_id}.json" if re.fullmatch(r"[\w-]{1,64}", session_id) else None
