"""Chromium over its debugging pipe: a port would be open to the services that are checked."""

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--mute-audio",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--password-store=basic", "--remote-debugging-pipe",
)  # fmt: skip
"""Its own sandbox needs rights that a container does not have."""
_CALL_S = 30.0
_CHUNK = 1024 * 1024
_MAX_MESSAGE = 32 * 1024 * 1024
_LEAST_FD = 10
# Chromium reads commands from 3 and writes to 4. The pipes have other numbers, so that neither overwrites the other.
_START = "import os,sys; r,w=map(int,sys.argv[1:3]); os.dup2(r,3); os.dup2(w,4); os.execv(sys.argv[3],sys.argv[3:])"
_VIEW = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}


class BrowserFailed(Exception):
    """The browser does not start, or does not answer: nothing is known of the page."""


class PageFailed(Exception):
    """The page cannot be had; the text says why."""


@dataclass
class Seen:
    """What the page has told since it was opened."""

    errors: deque[str] = field(default_factory=lambda: deque(maxlen=50))
    loading: bool = False
    began: int = 0
    """How many times something has begun to load."""
    status: int | None = None
    """Of the newest document."""


class Browser:
    """One page of one browser."""

    def __init__(self, write: int, read: int) -> None:
        self._write = write
        self._read = read
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self._frame = ""
        self.address = ""
        self.seen = Seen()

    def open(self) -> None:
        """Turn to a page of a visitor who has never been here."""
        self._session, self.seen, self.address = None, Seen(), ""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", **_VIEW)
        self._frame = self.call("Page.getFrameTree")["frameTree"]["frame"]["id"]

    def go(self, url: str, timeout_s: float) -> None:
        """Raises PageFailed."""
        self.seen.loading = True
        failed = self.call("Page.navigate", url=url).get("errorText")
        if failed:
            raise PageFailed(f"the page cannot be opened: {failed}")
        self.settle(timeout_s)

    def settle(self, timeout_s: float) -> None:
        """Wait until nothing loads any more; PageFailed when that takes too long."""
        deadline = time.monotonic() + timeout_s
        while self.seen.loading:
            if not self.listen(deadline - time.monotonic()):
                raise PageFailed(f"the page is still loading after {timeout_s:g} s")

    def listen(self, timeout_s: float) -> bool:
        """Take the next thing that the browser tells; False when it tells nothing in that time."""
        message = self._next(timeout_s)
        if message is not None:
            self._notice(message)
        return message is not None

    def evaluate(self, function: str, *arguments: object) -> Any:  # noqa: ANN401 - any JSON value
        """The result of a JavaScript function in a world of its own, which scripts of the page cannot change."""
        world = self.call("Page.createIsolatedWorld", frameId=self._frame, worldName="acceptance")["executionContextId"]
        found = self.call(
            "Runtime.callFunctionOn",
            functionDeclaration=function,
            executionContextId=world,
            arguments=[{"value": one} for one in arguments],
            returnByValue=True,
        )
        if "exceptionDetails" in found:
            raise BrowserFailed(f"a script of the checks failed: {str(found['exceptionDetails'])[:300]}")
        return found["result"].get("value")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Raises BrowserFailed when there is no answer, and Gone for what the page has left behind."""
        self._number += 1
        number = self._number
        session = {"sessionId": self._session} if self._session else {}
        message = json.dumps({"id": number, "method": method, "params": parameters, **session}).encode() + b"\0"
        try:
            while message:
                message = message[os.write(self._write, message) :]
        except OSError as error:
            raise BrowserFailed(f"the browser has ended: {error}") from None
        deadline = time.monotonic() + _CALL_S
        while (answer := self._next(deadline - time.monotonic())) is not None:
            if answer.get("id") == number:
                if "error" in answer:
                    raise Gone(f"{method}: {answer['error'].get('message')}")
                return dict(answer["result"])
            self._notice(answer)
        raise BrowserFailed(f"the browser does not answer {method}")

    def _next(self, timeout_s: float) -> dict[str, Any] | None:
        deadline = time.monotonic() + timeout_s
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return None
            chunk = os.read(self._read, _CHUNK)
            if not chunk or len(self._rest) > _MAX_MESSAGE:
                raise BrowserFailed("the browser has ended")
            self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def _notice(self, message: dict[str, Any]) -> None:
        told = _EVENTS.get(str(message.get("method")))
        parameters = message.get("params", {})
        if told is not None and parameters.get("frameId", self._frame) == self._frame:
            told(self, parameters)

    def begins(self, _: dict[str, Any]) -> None:
        self.seen.loading = True
        self.seen.began += 1

    def stops(self, _: dict[str, Any]) -> None:
        self.seen.loading = False

    def answers(self, told: dict[str, Any]) -> None:
        if told.get("type") == "Document":
            self.seen.status = int(told["response"]["status"])

    def throws(self, told: dict[str, Any]) -> None:
        details = told["exceptionDetails"]
        said = details.get("exception", {}).get("description") or details.get("text", "")
        self.seen.errors.append(str(said)[:300])

    def logs(self, told: dict[str, Any]) -> None:
        """A document's own status is judged by itself, and no page names the icon that browsers ask for."""
        entry = told["entry"]
        own = entry.get("source") == "network" and entry.get("url") == self.address
        if entry["level"] == "error" and not own and "favicon" not in str(entry.get("url")):
            self.seen.errors.append(f"{entry['text']} {entry.get('url', '')}"[:300])

    def prints(self, told: dict[str, Any]) -> None:
        if told["type"] in {"error", "assert"}:
            said = " ".join(str(one.get("value", one.get("description", ""))) for one in told["args"])
            self.seen.errors.append(said[:300])

    def asks(self, _: dict[str, Any]) -> None:
        """A dialog, such as "Really delete?": yes. Without waiting: this may be in the middle of another call."""
        message = {"id": 0, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
        os.write(self._write, json.dumps({**message, "sessionId": self._session}).encode() + b"\0")

    def goes(self, told: dict[str, Any]) -> None:
        if told["frame"]["id"] == self._frame:
            self.address = str(told["frame"]["url"])


class Gone(Exception):
    """What was asked for has gone with the page before; ask again."""


_EVENTS: dict[str, Callable[[Browser, dict[str, Any]], None]] = {
    "Page.frameStartedLoading": Browser.begins,
    "Page.frameStoppedLoading": Browser.stops,
    "Page.frameNavigated": Browser.goes,
    "Page.javascriptDialogOpening": Browser.asks,
    "Network.responseReceived": Browser.answers,
    "Runtime.exceptionThrown": Browser.throws,
    "Runtime.consoleAPICalled": Browser.prints,
    "Log.entryAdded": Browser.logs,
}


@contextlib.contextmanager
def browser(program: str, home: Path) -> Iterator[Browser]:
    """A browser with an empty profile below `home`; it has ended when this is left. Raises BrowserFailed."""
    ours, theirs = _pipe(), _pipe()
    argv = [program, *_FLAGS, f"--user-data-dir={home}", "about:blank"]
    wrapped = [sys.executable, "-c", _START, str(ours[0]), str(theirs[1]), *argv]
    process = subprocess.Popen(
        wrapped,
        pass_fds=(ours[0], theirs[1]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    for end in (ours[0], theirs[1]):
        os.close(end)
    try:
        yield Browser(ours[1], theirs[0])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for end in (ours[1], theirs[0]):
            os.close(end)


def _pipe() -> tuple[int, int]:
    """Read end and write end, above the numbers that Chromium uses."""
    ends = os.pipe()
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _LEAST_FD) for end in ends)
    for end in ends:
        os.close(end)
    return high[0], high[1]
