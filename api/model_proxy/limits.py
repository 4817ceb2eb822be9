"""What an answer of a vendor says about limits: until when, of what kind."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from contracts.models import ModelLimit, ModelLimitKind

_WITHOUT_A_TIME_S = 30.0
_LONGEST = timedelta(days=31)
_WINDOW_S = 60.0
"""A wait that is longer than this is a usage window and not a rate."""
_EPOCH_FROM = 1_000_000_000
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_NO_CREDIT = frozenset({"insufficient_quota", "billing_error", "billing_hard_limit_reached", "account_deactivated"})
_OVERLOADED = frozenset({"overloaded_error", "api_error", "server_error", "internal_server_error", "timeout_error"})
_TOO_MANY = frozenset({"rate_limit_error", "rate_limit_exceeded", "usage_limit_reached", "tokens", "requests"})
_REFUSED_KEY = frozenset({"authentication_error", "permission_error", "invalid_api_key"})

STOPS_THE_TURN = ("budget", "outage")
"""Kinds of limits after which nothing of the turn is sent any more. The others end by themselves, or with an answer."""
_FAMILIES = ("opus", "sonnet", "haiku", "fable")
_MAKE_WAIT = frozenset({"retry-after", "retry-after-ms", "x-should-retry"})

Headers = Mapping[str, str]


def is_lasting(limit: ModelLimit, now: datetime, short_s: float) -> bool:
    """Whether an agent that waits for the end of this limit would wait in vain, or for longer than `short_s`."""
    if limit.kind in {"rate", "window"}:
        return limit.until is None or (limit.until - now).total_seconds() > short_s
    return limit.kind == "outage"


def makes_wait(header: bytes) -> bool:
    """Whether agents wait as this header says, in silence: the workflow does that, where people see it."""
    return header.decode("latin-1").lower() in _MAKE_WAIT


def is_of_the_account(limit: ModelLimit, headers: Headers, error: str | None) -> bool:
    """Whether this refusal holds for all models of the account. Vendors count rates for each model.

    A window of a subscription is one for all, unless the vendor says that it is the window of one model.
    """
    if limit.kind not in {"rate", "window"}:
        return True
    claim = headers.get("anthropic-ratelimit-unified-representative-claim", "")
    if any(claim.endswith(f"_{family}") for family in _FAMILIES):
        return False
    return _is_used_up(headers, error)


def limit_of(
    account: str, status: int, headers: Headers, error: str | None, message: str, now: datetime
) -> ModelLimit | None:
    """What has stopped a request that was answered like this; None if nothing has.

    `error` is the type or code that its body gives. Errors also come inside of a stream that began with status 200.
    """
    kind = _kind(status, error)
    if kind is None:
        return None
    until = _until(headers, now) if kind == "rate" else None
    if until is not None and ((until - now).total_seconds() > _WINDOW_S or _is_used_up(headers, error)):
        kind = "window"
    return ModelLimit(kind=kind, message=_said(account, kind, status, message), until=until, account=account)


def _kind(status: int, error: str | None) -> ModelLimitKind | None:
    if error in _NO_CREDIT or status in {401, 402, 403} or error in _REFUSED_KEY:
        return "auth"
    if status == 429 or error in _TOO_MANY:
        return "rate"
    if status >= 500 or error in _OVERLOADED:
        return "outage"
    return "request" if status >= 400 or error else None


def _is_used_up(headers: Headers, error: str | None) -> bool:
    """Whether the vendor says that a usage window is used up, however soon the next one opens."""
    return error == "usage_limit_reached" or headers.get("anthropic-ratelimit-unified-status") == "rejected"


def _said(account: str, kind: ModelLimitKind, status: int, message: str) -> str:
    begin = {
        "auth": f"{account} refuses the platform's key",
        "rate": f"{account} takes no more requests for now",
        "window": f"The usage window of the platform's account with {account} is used up",
        "outage": f"{account} does not answer as it should",
        "request": f"{account} refuses the request",
    }[kind]
    printable = "".join(letter if letter.isprintable() else " " for letter in message)[:600]
    return f"{begin} (status {status}): {printable}" if printable else f"{begin} (status {status})."


def _until(headers: Headers, now: datetime) -> datetime:
    """When the vendor answers again: as it says, else soon."""
    wait = _retry_after(headers, now)
    if wait is None:
        wait = max(_resets(headers, now), default=None)
    seconds = _WITHOUT_A_TIME_S if wait is None else wait
    return now + min(timedelta(seconds=max(1.0, min(seconds, _LONGEST.total_seconds()))), _LONGEST)


def _retry_after(headers: Headers, now: datetime) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    said = headers.get("retry-after", "").strip()
    seconds = _number(said)
    if seconds is not None or not said:
        return seconds
    try:
        moment = parsedate_to_datetime(said)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()


def _resets(headers: Headers, now: datetime) -> list[float]:
    """Seconds until those limits renew that are used up."""
    found = []
    for name, value in headers.items():
        if not name.startswith(("anthropic-ratelimit-", "x-ratelimit-")) or "reset" not in name:
            continue
        rest = headers.get(name.replace("reset", "remaining"), "0")
        seconds = _seconds(value.strip(), now)
        if seconds is not None and seconds > 0 and _number(rest) == 0:
            found.append(seconds)
    return found


def _seconds(value: str, now: datetime) -> float | None:
    """From a number of seconds, a moment (as epoch or ISO) or a duration such as `6m0s`."""
    number = _number(value)
    if number is not None:
        return number - now.timestamp() if number > _EPOCH_FROM else number
    parts = _DURATION.findall(value)
    if parts and "".join(f"{size}{unit}" for size, unit in parts) == value:
        return sum(float(size) * _UNITS[unit] for size, unit in parts)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
