"""Which parts of `make test-deep` were green for which state of the source."""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.gate.suites import ROOT


def tree(root: Path = ROOT) -> str:
    """The id that Git gives to the files as they are now, committed or not; ignored ones do not count."""
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "GIT_INDEX_FILE": str(Path(directory) / "index")}

        def git(*arguments: str) -> str:
            command = ["git", *arguments]
            done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
            return done.stdout.strip()

        git("add", "--all", ".")
        return git("write-tree")


@dataclass(frozen=True)
class Records:
    """A file for each tree, with the parts that were green on it."""

    directory: Path = ROOT / "build" / "test-deep"

    def green(self, tree: str) -> dict[str, str]:
        """Part to a word about the run."""
        file = self._file(tree)
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def keep(self, tree: str, part: str, seconds: float) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        when = datetime.now(UTC).isoformat(sep=" ", timespec="minutes")
        known = self.green(tree) | {part: f"{seconds:.0f} s, {when}"}
        draft = self._file(tree).with_suffix(".draft")
        draft.write_text(json.dumps(known, indent=2) + "\n")
        draft.replace(self._file(tree))

    def _file(self, tree: str) -> Path:
        return self.directory / f"{tree}.json"
