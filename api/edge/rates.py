"""How often somebody may ask: by key, by address without a known one, and how many open streams."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from contracts.errors import ErrorCode, OrchestratorError
from runtime.settings import Settings

_MAX_KNOWN = 10_000
_KNOWN_S = 600.0
"""So long a key that got in counts by itself, and not with its address."""
_SIGNED_IN_S = 12 * 3600.0
"""So long the use of one key from one address is one sign-in."""


@dataclass(frozen=True)
class Refusal:
    """Why a request is not even looked at, and after how many seconds it may come again."""

    code: ErrorCode
    detail: str
    retry_after_s: int


class Rates:
    """Windows of a minute, in the memory of this process. `clock` is monotonic, in seconds.

    An address that shows too many wrong keys is locked out: its requests are refused unread, but for keys that have
    got in lately, so that nobody can lock out the people of the same address.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._per_key = RateLimitItemPerMinute(settings.requests_per_minute)
        self._per_address = RateLimitItemPerMinute(settings.anonymous_requests_per_minute)
        self._failures = RateLimitItemPerMinute(settings.wrong_keys_per_minute)
        self._locked_s = settings.lock_out_s
        self._clock = clock
        self._known: OrderedDict[str, float] = OrderedDict()
        self._locked: dict[str, float] = {}
        self._signed_in: OrderedDict[tuple[str, str], float] = OrderedDict()

    def signs_in(self, digest: str, address: str) -> bool:
        """Whether this use of a key is a sign-in: the first from there for twelve hours that this process sees."""
        now, use = self._clock(), (digest, address)
        if self._signed_in.get(use, 0.0) > now:
            return False
        self._signed_in[use] = now + _SIGNED_IN_S
        self._signed_in.move_to_end(use)
        while len(self._signed_in) > _MAX_KNOWN:
            self._signed_in.popitem(last=False)
        return True

    def recognise(self, digest: str) -> None:
        """Remember a key that got in."""
        self._known[digest] = self._clock() + _KNOWN_S
        self._known.move_to_end(digest)
        while len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    def knows(self, digest: str | None) -> bool:
        """Whether a key got in lately."""
        return digest is not None and self._known.get(digest, 0.0) > self._clock()

    async def refusal(self, digest: str | None, address: str, acting_for: str = "") -> Refusal | None:
        """Count a request; why it is refused, or None. `acting_for` is whom a bot speaks for: each has a count."""
        if digest is not None and self.knows(digest):
            return await self._counted(self._per_key, "This key", digest, acting_for)
        if (left_s := self._locked.get(address, 0.0) - self._clock()) > 0:
            detail = "Too many wrong keys came from this address. Check your key, wait, and try again."
            return Refusal(ErrorCode.LOCKED_OUT, detail, int(left_s) + 1)
        return await self._counted(self._per_address, "This address", address)

    async def failed(self, address: str) -> bool:
        """Count a wrong key, or a wrong link; whether the address is locked out by this one."""
        if await self._limiter.hit(self._failures, address):
            return False
        now = self._clock()
        was_locked = self._locked.get(address, 0.0) > now
        self._locked = {known: until for known, until in self._locked.items() if until > now}
        self._locked[address] = now + self._locked_s
        return not was_locked

    async def _counted(self, limit: RateLimitItem, whose: str, *names: str) -> Refusal | None:
        if await self._limiter.hit(limit, *names):
            return None
        window = await self._limiter.get_window_stats(limit, *names)
        wait_s = max(1, int(window.reset_time - time.time()) + 1)
        detail = f"{whose} has sent more than {limit.amount} requests in a minute. Wait {wait_s} s, and send fewer."
        return Refusal(ErrorCode.TOO_MANY_REQUESTS, detail, wait_s)


class OpenStreams:
    """Counts streams that are being read; each holds a connection and memory for hours."""

    def __init__(self, settings: Settings) -> None:
        self._each, self._all = settings.streams_per_key, settings.streams
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_more(self, whose: str) -> Iterator[None]:
        """Read a stream inside. Raises TOO_MANY_STREAMS."""
        if self._open[whose] >= self._each or self._open.total() >= self._all:
            raise OrchestratorError.transient(
                ErrorCode.TOO_MANY_STREAMS,
                f"Too many streams are open: {self._each} for one key, {self._all} in all. End some, and try again.",
            )
        self._open[whose] += 1
        try:
            yield
        finally:
            self._open[whose] -= 1
            if not self._open[whose]:
                del self._open[whose]
