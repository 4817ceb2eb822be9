"""Faults on demand: what a test or a chaos run wants to go wrong, in the order in which it was asked for."""

from dataclasses import dataclass, field
from enum import StrEnum

from emulators.telegram.errors import ApiError, too_many_requests


class Kind(StrEnum):
    RETRY_AFTER = "retry_after"
    SERVER_ERROR = "server_error"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    DELAY = "delay"
    REFUSE = "refuse"
    PAGE = "page"


@dataclass
class Fault:
    """Hits the next `times` calls of `method` ("*" is any). `seconds` is for retry_after and delay.

    drop_before ends the connection without the effect, drop_after when it has been done; page answers as the server in
    front of Telegram does, with a page. `skip` lets calls pass first.
    """

    kind: Kind
    method: str = "*"
    times: int = 1
    seconds: float = 1.0
    code: int = 502
    description: str = "Bad Gateway"
    skip: int = 0

    def error(self) -> ApiError | None:
        """What is answered instead of the effect, if this fault answers."""
        if self.kind is Kind.RETRY_AFTER:
            return too_many_requests(int(self.seconds))
        if self.kind in {Kind.SERVER_ERROR, Kind.REFUSE}:
            return ApiError(self.code, self.description)
        return None


@dataclass
class Faults:
    """What is still to go wrong, and what did."""

    planned: list[Fault] = field(default_factory=list)
    happened: list[tuple[str, Kind]] = field(default_factory=list)

    def plan(self, fault: Fault) -> None:
        self.planned.append(fault)

    def next(self, method: str) -> Fault | None:
        """The fault that hits this call."""
        for fault in self.planned:
            if fault.method not in {"*", method}:
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self.planned.remove(fault)
            self.happened.append((method, fault.kind))
            return fault
        return None
