"""Planned faults: what tests and chaos runs want to go wrong, in the order planned."""

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
    STRANGE = "strange"


@dataclass
class Fault:
    """Affects the next `times` calls of `method` ("*": any), after `skip` calls. `seconds`: for retry_after and delay.

    drop_before closes the connection before the effect, drop_after after it. page answers with an HTML page, as a proxy
    in front of Telegram does. strange answers after the effect with a document of a later Bot API.
    """

    kind: Kind
    method: str = "*"
    times: int = 1
    seconds: float = 1.0
    code: int = 502
    description: str = "Bad Gateway"
    skip: int = 0

    def error(self) -> ApiError | None:
        """The error to answer with, for the kinds that answer."""
        if self.kind is Kind.RETRY_AFTER:
            return too_many_requests(int(self.seconds))
        if self.kind in {Kind.SERVER_ERROR, Kind.REFUSE}:
            return ApiError(self.code, self.description)
        return None


@dataclass
class Faults:
    """Faults still planned, and those that happened."""

    planned: list[Fault] = field(default_factory=list)
    happened: list[tuple[str, Kind]] = field(default_factory=list)

    def plan(self, fault: Fault) -> None:
        self.planned.append(fault)

    def next(self, method: str) -> Fault | None:
        """The fault for this call, if any."""
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
