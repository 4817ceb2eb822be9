"""HTTP probes: one strict look at a service, and several from outside as its users see it.

Standard library only: servers import it. No redirect is followed, no proxy used, no large body read.
"""

import asyncio
import http.client
import json
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 3.0
MAX_BODY = 64 * 1024
_NO_TELEGRAM = "the bot does not reach Telegram (its health says polling: false)"
_BOT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{3,31}")


@dataclass(frozen=True)
class Expectation:
    """What a healthy service answers: 200, this text in the body, this release."""

    path: str
    contains: str
    release_id: str


@dataclass(frozen=True)
class Look:
    """One answer, or why there was none. `answered` tells a wrong answer from none; `text` is a good answer's body."""

    ok: bool
    status_code: int | None = None
    error: str | None = None
    text: str = ""

    @property
    def answered(self) -> bool:
        return self.status_code is not None


async def look(host: str, port: int, expected: Expectation, timeout_s: float = TIMEOUT_S) -> Look:
    """Ask once. Never raises for what the other side does: the reason is in `error`."""
    request = _Request(host, port, timeout_s)
    try:
        async with asyncio.timeout(timeout_s * 2):
            status, body = await asyncio.to_thread(request.get, expected.path)
    except TimeoutError:
        return Look(False, error=f"no answer within {timeout_s:g} s")
    except (OSError, http.client.HTTPException, ValueError) as error:  # the last for a path that no request can have
        return Look(False, error=f"no HTTP answer ({type(error).__name__})")
    finally:
        request.hang_up()
    return judge(status, body, expected)


def judge(status: int, body: bytes, expected: Expectation) -> Look:
    """Pure: whether an answer is the expected one, and if not, why."""
    if status != 200:
        return Look(False, status, f"{expected.path} answered {status} instead of 200")
    if len(body) > MAX_BODY:
        return Look(False, status, f"{expected.path} answered more than {MAX_BODY // 1024} KB")
    text = body.decode(errors="replace")
    if expected.contains not in text:
        return Look(False, status, f"{expected.path} answered without {expected.contains!r}: {text[:200]!r}")
    release = _release_in(text)
    if release is None and expected.release_id not in text:
        return Look(False, status, f"{expected.path} does not say which release answers: {text[:200]!r}")
    if release is not None and release != expected.release_id:
        return Look(False, status, f"another release answered: {release[:100]!r} instead of {expected.release_id!r}")
    return Look(True, status, text=text)


def why_not_live(answer: Look, contains: str) -> str | None:
    """What is wrong with an answer at the public address; None if nothing is.

    A bot is there while it does not reach Telegram, and says so: `"polling": false`. Nobody is served by it then.
    """
    if not answer.ok:
        return answer.error or "no valid answer"
    if _document(answer.text).get("polling") is False:
        return f"{_NO_TELEGRAM}; check its token and the address of the Bot API"
    if contains not in answer.text:
        return f"it answers without {contains!r}: {answer.text[:200]!r}"
    return None


def bot_link(text: str) -> str | None:
    """Where people reach the bot whose health says `"bot": "its_name"`; None without a plausible name."""
    name = _document(text).get("bot")
    return f"https://t.me/{name}" if isinstance(name, str) and _BOT_NAME.fullmatch(name) else None


def url_host(host: str) -> str:
    """`host` as it is written in a URL."""
    return f"[{host}]" if ":" in host else host


def _release_in(text: str) -> str | None:
    value = _document(text).get("release")
    return None if value is None else str(value)


def _document(text: str) -> dict[str, Any]:
    """A body in JSON; empty if it is something else."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


class _Request:
    """One request in a thread. The time limit holds for each read alone: without `hang_up` a service that sends a byte
    now and then would keep the thread for hours."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        self._socket: socket.socket | None = None
        self._given_up = False

    def get(self, path: str) -> tuple[int, bytes]:
        connection = self._connection
        try:
            connection.connect()
            # The connection forgets its socket while the answer is read from it.
            self._socket = connection.sock
            if self._given_up:
                raise TimeoutError
            connection.request("GET", path, headers={"User-Agent": "orchestrator-probe", "Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read(MAX_BODY + 1)
        finally:
            connection.close()

    def hang_up(self) -> None:
        """End what the thread may still wait for."""
        self._given_up = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
