"""How fast a bot may send: short bursts, then a slow steady pace, for each chat and in all."""

import math
import time
from dataclasses import dataclass, field

from emulators.telegram.errors import too_many_requests


@dataclass(frozen=True)
class Rate:
    """`burst` calls at once, refilled by `per_second`."""

    burst: float
    per_second: float


PRIVATE = Rate(burst=5, per_second=1.0)
GROUP = Rate(burst=20, per_second=20 / 60)
WHOLE_BOT = Rate(burst=60, per_second=30)
"""Telegram does not publish its limits exactly: about one message per second in a chat, where short bursts are fine;
not more than 20 a minute in a group; about 30 a second in all."""


@dataclass
class _Bucket:
    rate: Rate
    level: float
    at: float

    def wait_s(self, now: float) -> float:
        """Seconds until the next call is allowed; 0 when it is now."""
        self.level = min(self.rate.burst, self.level + (now - self.at) * self.rate.per_second)
        self.at = now
        return 0.0 if self.level >= 1 else (1 - self.level) / self.rate.per_second


@dataclass
class Limits:
    """Counts what sends or edits. `refused` counts the refusals, for tests of politeness."""

    private: Rate = PRIVATE
    group: Rate = GROUP
    whole: Rate = WHOLE_BOT
    refused: int = 0
    _buckets: dict[int | None, _Bucket] = field(default_factory=dict)

    def count(self, chat_id: int) -> None:
        """Raises ApiError 429 with the seconds to wait."""
        now = time.monotonic()
        rates = {None: self.whole, chat_id: self.private if chat_id > 0 else self.group}
        buckets = [self._buckets.setdefault(key, _Bucket(rate, rate.burst, now)) for key, rate in rates.items()]
        wait = max(bucket.wait_s(now) for bucket in buckets)
        if wait > 0:
            self.refused += 1
            raise too_many_requests(max(1, math.ceil(wait)))
        for bucket in buckets:
            bucket.level -= 1
