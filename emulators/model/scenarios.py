"""Named scenarios: those of this package (`projects/*.json`) and those of files.

A file holds one object: `{NAME: {"steps": [...]}}`. The text of a `run` or `write` step may stand in a file beside it:
`{"do": "run", "file": "change.sh"}`.
"""

import json
from pathlib import Path
from typing import Any

from emulators.model.steps import Scenario

_OWN = Path(__file__).parent / "projects"


def load(*files: Path) -> dict[str, Scenario]:
    """All named scenarios; those of later files replace earlier ones. Raises ValueError for a file that has none."""
    found: dict[str, Scenario] = {}
    for file in (*sorted(_OWN.glob("*.json")), *files):
        found |= _read(file)
    return found


def _read(file: Path) -> dict[str, Scenario]:
    document = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ValueError(f"{file.name} holds no object of scenarios")
    return {name: _scenario(name, value, file.parent) for name, value in document.items()}


def _scenario(name: str, value: dict[str, Any], folder: Path) -> Scenario:
    steps = [_with_text(step, folder) for step in value.get("steps", [])]
    return Scenario.model_validate(value | {"name": name, "steps": steps})


def _with_text(step: dict[str, Any], folder: Path) -> dict[str, Any]:
    if "file" not in step:
        return step
    text = (folder / step["file"]).read_text(encoding="utf-8")
    return {key: value for key, value in step.items() if key != "file"} | {"text": text}
