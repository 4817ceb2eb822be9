"""Runs the checks of a job, one after the other, and keeps what was sent and seen."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from . import bot, pages
from .browser import Browser, BrowserFailed, Gone, browser
from .expectations import Miss, misses_of_answer
from .http_client import PATIENCE, NoAnswer, ask, request_of
from .services import NotStarted, await_start, tell
from .values import MISSING, Unusable, at

_BODY = 1_500
_AGAIN_S = 0.2
_MAX_PICTURES = 20

Variables = dict[str, Any]


@dataclass
class Trace:
    """What one check has done and seen. `misses`: what was not as expected at step `at`."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    misses: list[Miss] = field(default_factory=list)
    at: int | None = None
    pictures: list[str] = field(default_factory=list)


class Place:
    """Where checks run: the services, and a browser and an emulated Telegram from their first use on."""

    def __init__(self, job: Mapping[str, Any], opened: ExitStack) -> None:
        self._job = job
        self._opened = opened
        self._window = opened.enter_context(ExitStack())
        self._browser: Browser | None = None
        self._fresh = True
        self._telegram: bot.Telegram | None = None
        self.pictures = 0
        self.out = Path(job["out"])

    def port(self, service: str | None) -> int:
        known = {one["name"]: int(one["port"]) for one in self._job["services"]}
        if service is not None and service not in known:
            raise Unusable(f"the project has no service {service}")
        return known[service] if service else next(iter(known.values()))

    @property
    def answer_limit(self) -> int:
        """Characters of an answer over HTTP that are kept."""
        return int(self._job.get("answer_limit", _BODY))

    @property
    def secrets(self) -> Variables:
        return {f"secret:{name}": value for name, value in self._job["secrets"].items()}

    def start_telegram(self) -> None:
        """Before the services are awaited: a bot is up once it has reached it."""
        told = self._job["bot"]
        if "port" in told:
            self._telegram = self._opened.enter_context(bot.emulator(told["python"], told["port"], told["token"]))

    @property
    def telegram(self) -> bot.Telegram:
        """Raises Unusable, or Absent when the project has no bot."""
        if self._telegram is None:
            told = self._job["bot"]
            raise (Absent if told["missed"] else Unusable)(told["why_not"])
        return self._telegram

    def page(self) -> Browser:
        """The page of the running check. Raises Unusable without a browser."""
        if not self._job["browser"]:
            raise Unusable(self._job["no_browser"])
        try:
            if self._browser is None:
                self._browser = self._window.enter_context(browser(self._job["browser"], Path(self._job["profile"])))
            if self._fresh:
                self._browser.open()
        except (BrowserFailed, Gone) as error:
            raise Unusable(f"the browser does not start: {error}") from None
        self._fresh = False
        return self._browser

    def forget_page(self) -> None:
        """The next page is a new one: a visitor of one check has no cookie of another."""
        self._fresh = True

    def close_browser(self) -> None:
        self._window.close()
        self._browser, self._fresh = None, True

    def await_start(self) -> None:
        await_start(self._job["services"], self._job["control"])

    def restart(self) -> None:
        tell(self._job["control"], "restart")
        self.await_start()


class Absent(Exception):
    """The project does not have what the check is about."""


def run_all(checks: list[dict[str, Any]], place: Place, deadline: float) -> Iterator[dict[str, Any]]:
    """The result of each check, as soon as it is known. What there is no time for is not checkable, and says so."""
    for check in checks:
        if time.monotonic() > deadline:
            yield result(check, "not_checkable", Trace(), "there was no time left for this check", 0)
        else:
            yield run(check, place)


def run(check: dict[str, Any], place: Place) -> dict[str, Any]:
    began, trace = time.monotonic(), Trace()
    place.forget_page()
    state, why = "not_met", ""
    try:
        _steps(check, place, trace)
        state = "not_met" if trace.misses else "met"
        why = "; ".join(miss.text for miss in trace.misses)
    except Absent as absent:
        trace.misses = [Miss("absent", str(absent))]
        why = str(absent)
    except NotStarted as error:
        trace.misses = [Miss(error.key, str(error))]
        why = str(error)
    except (Unusable, bot.NoTelegram) as error:
        state, why = "not_checkable", str(error)
    return result(check, state, trace, why, round((time.monotonic() - began) * 1_000))


def result(check: Mapping[str, Any], state: str, trace: Trace, why: str, duration_ms: int) -> dict[str, Any]:
    return {
        "id": check["id"],
        "criterion_id": check["criterion_id"],
        "title": check["title"],
        "state": state,
        "step": trace.at if state == "not_met" else None,
        "detail": why,
        "keys": sorted({miss.key for miss in trace.misses}),
        "steps": trace.steps,
        "screenshots": trace.pictures,
        "duration_ms": duration_ms,
    }


def _steps(check: Mapping[str, Any], place: Place, trace: Trace) -> None:
    variables: Variables = {"unique": uuid4().hex[:12], **place.secrets}
    for number, step in enumerate(check["steps"], start=1):
        trace.at = number
        misses, told = _KINDS[step["kind"]](step, place, variables, trace)
        trace.steps.append({"step": number, "kind": step["kind"], **told})
        if misses:
            trace.misses = misses
            return


def _http(step: dict[str, Any], place: Place, variables: Variables, _: Trace) -> tuple[list[Miss], dict[str, Any]]:
    port = place.port(step["service"])
    method, path, headers, body = request_of(step, variables)
    told: dict[str, Any] = {"request": f"{method} {path}", "sent": (body or b"").decode(errors="replace")[:_BODY]}
    deadline = time.monotonic() + step["within_s"] * PATIENCE
    while True:
        try:
            answer = ask(port, method, path, headers, body)
        except NoAnswer as error:
            misses, told["answer"] = [Miss("answer", str(error))], str(error)
        else:
            misses = misses_of_answer(answer, step["expect"], variables)
            told |= {"status": answer.status, "answer": answer.text[: place.answer_limit]}
            if not misses:
                misses = _save(step["save"], answer.json(), variables)
        if not misses or time.monotonic() >= deadline:
            return misses, told
        time.sleep(_AGAIN_S)


def _save(wanted: Mapping[str, str], document: Any, variables: Variables) -> list[Miss]:  # noqa: ANN401 - any JSON value
    for name, path in wanted.items():
        value = at(document, path)
        if value is MISSING:
            return [Miss(f"save:{path}", f"the answer has no `{path}`, which the next steps need")]
        variables[name] = value
    return []


def _page(step: dict[str, Any], place: Place, variables: Variables, trace: Trace) -> tuple[list[Miss], dict[str, Any]]:
    name, picture = step["screenshot"], None
    if name and place.pictures < _MAX_PICTURES:
        place.pictures += 1
        name = f"{place.pictures:02}-{name}.png"
        picture = place.out / name
    page = place.page()
    try:
        misses, seen = pages.run(step, page, place.port(step["service"]), variables, picture)
    except (BrowserFailed, Gone) as error:
        # It could be used before it opened this page.
        place.close_browser()
        misses, seen = [Miss("page:hangs", f"the page stops the browser: {error}")], ""
    if picture is not None and picture.exists():
        trace.pictures.append(picture.name)
    return misses, {"request": f"page {step['path'] or '(as it is)'}", "answer": seen[:_BODY]}


def _bot(step: dict[str, Any], place: Place, variables: Variables, _: Trace) -> tuple[list[Miss], dict[str, Any]]:
    misses, said = bot.run(step, place.telegram, variables)
    return misses, {"request": f"bot {step['send'] or step['press'] or step['callback']}", "answer": said[:_BODY]}


def _restart(_: dict[str, Any], place: Place, __: Variables, ___: Trace) -> tuple[list[Miss], dict[str, Any]]:
    place.restart()
    return [], {"request": "restart the services", "answer": "started again"}


_KINDS: dict[str, Callable[[dict[str, Any], Place, Variables, Trace], tuple[list[Miss], dict[str, Any]]]] = {
    "http": _http,
    "page": _page,
    "bot": _bot,
    "restart": _restart,
}
