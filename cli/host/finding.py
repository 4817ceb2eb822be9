"""One line of `doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "missing", "problem", "optional"]


@dataclass(frozen=True)
class Finding:
    """`optional` is worth knowing and no fault; `advice` says what to do."""

    part: str
    verdict: Verdict
    found: str
    advice: str = ""
