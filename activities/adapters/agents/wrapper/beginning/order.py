"""The order to begin: the wrapper starts while its container does, and waits for it before it does anything.

`ORCHESTRATOR_ORDER` names the directory to which the platform brings `begin`, and before that `environment`: variables
that no record of the container shows, as lines of a shell. `begun` is the answer.
"""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path

VARIABLE = "ORCHESTRATOR_ORDER"
_PATIENCE_S = 30.0
_LOOK_S = 0.005


def taken_order() -> bool:
    """Wait until the turn may begin, and take its variables; False if nobody said so. True at once without a place to
    look."""
    named = os.environ.pop(VARIABLE, None)
    if named is None:
        return True
    place, until = Path(named), time.monotonic() + _PATIENCE_S
    # Looked for, since a file is the only thing that can be brought through the engine.
    while not os.path.exists(place / "begin"):
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_S)
    if (place / "environment").is_file():
        os.environ.update(_variables((place / "environment").read_text()))
    # Also those of containers that were never told, and went.
    for left in place.parent.glob("*/environment"):
        left.unlink(missing_ok=True)
    (place / "begun").touch()
    return True


def _variables(lines: str) -> dict[str, str]:
    words = [word for word in shlex.split(lines) if word != "export"]
    return dict(word.split("=", 1) for word in words)
