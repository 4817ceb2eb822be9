"""Why a call does not pass."""


class Refused(Exception):
    """`reason` completes the sentence "refused, because …"; it never repeats what was sent."""

    def __init__(self, reason: str, status: int = 403) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
