"""Rate limits per chat and in total: token buckets that allow short bursts."""

import math
import time
from dataclasses import dataclass, field

from emulators.telegram.errors import too_many_requests


@dataclass(frozen=True)
class Rate:
    """A bucket of `burst` calls, refilled with `per_second` calls a second."""

    burst: float
    per_second: float


PRIVATE = Rate(burst=5, per_second=1.0)
GROUP = Rate(burst=20, per_second=20 / 60)
WHOLE_BOT = Rate(burst=60, per_second=30)
"""Telegram publishes no exact limits. Its advice: about one message a second per chat, where short bursts are fine; at
most 20 a minute per group; about 30 a second in total."""


@dataclass
class _Bucket:
    rate: Rate
    level: float
    at: float

    def wait_s(self, now: float) -> float:
        """Seconds until the next call is allowed; 0 if it is allowed now."""
        self.level = min(self.rate.burst, self.level + (now - self.at) * self.rate.per_second)
        self.at = now
        return 0.0 if self.level >= 1 else (1 - self.level) / self.rate.per_second


@dataclass
class Limits:
    """Limits messages and edits. `refused` counts the calls that got a 429."""

    private: Rate = PRIVATE
    group: Rate = GROUP
    whole: Rate = WHOLE_BOT
    refused: int = 0
    _buckets: dict[int | None, _Bucket] = field(default_factory=dict)

    def count(self, chat_id: int) -> None:
        """Count one call. Raises ApiError 429 with the seconds to wait."""
        now = time.monotonic()
        rates = {None: self.whole, chat_id: self.private if chat_id > 0 else self.group}
        buckets = [self._buckets.setdefault(key, _Bucket(rate, rate.burst, now)) for key, rate in rates.items()]
        wait = max(bucket.wait_s(now) for bucket in buckets)
        if wait > 0:
            self.refused += 1
            raise too_many_requests(max(1, math.ceil(wait)))
        for bucket in buckets:
            bucket.level -= 1
