"""Planned faults, in the order planned: what tests want to go wrong with the next requests."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """`error_after` does what was asked and answers 500, `error_before` does nothing and answers 500. `page` is a web
    page with status 200, `drop` an answer that never comes."""

    THROTTLED = "throttled"
    ADDRESS = "address"
    LOGIN = "login"
    UNSAID = "unsaid"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    PAGE = "page"
    DROP = "drop"


@dataclass
class Fault:
    """Strikes the next `times` requests whose path ends in `path` (empty: any), after `skip` of them."""

    kind: Kind
    path: str = ""
    times: int = 1
    skip: int = 0
    wait_s: int = 24

    def body(self) -> dict[str, Any]:
        """Of status 401."""
        words: dict[Kind, list[Any]] = {
            Kind.THROTTLED: [["wait_x_between_action", self.wait_s], "unauthorized"],
            Kind.ADDRESS: ["ipnotallowed", "unauthorized"],
            Kind.LOGIN: ["wronglogin", "unauthorized"],
        }
        return {"error": words.get(self.kind, ["unauthorized"])}

    @property
    def is_unauthorized(self) -> bool:
        return self.kind in {Kind.THROTTLED, Kind.ADDRESS, Kind.LOGIN, Kind.UNSAID}


@dataclass
class Faults:
    planned: list[Fault] = field(default_factory=list)
    happened: list[Kind] = field(default_factory=list)

    def plan(self, fault: Fault) -> None:
        self.planned.append(fault)

    def next(self, path: str) -> Fault | None:
        """The fault for this request, if any."""
        for fault in self.planned:
            if not path.endswith(fault.path):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self.planned.remove(fault)
            self.happened.append(fault.kind)
            return fault
        return None
