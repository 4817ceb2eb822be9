"""Steps of a bot: what people write and press in an emulated Telegram, and what the bot answers there."""

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .expectations import Miss, misses_of_text, plain
from .http_client import PATIENCE, NoAnswer, ask
from .values import filled_text

_BEGIN_S = 90.0
_TURN_S = 1.0
_FIRST_PERSON = 1_000
_HERE = Path(__file__).resolve().parent.parent


class NoTelegram(Exception):
    """The emulator does not run."""


@contextlib.contextmanager
def emulator(python: str, port: int, token: str) -> Iterator["Telegram"]:
    """An emulated Telegram that only knows the bot with the token. Raises NoTelegram."""
    argv = [python, "-m", "emulators.telegram", "--port", str(port), "--token", token]
    process = subprocess.Popen(
        argv, env={**os.environ, "PYTHONPATH": str(_HERE)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        ready, _, _ = select.select([process.stdout], [], [], _BEGIN_S)
        if not ready or not process.stdout.readline().startswith("http"):
            process.kill()
            raise NoTelegram(f"the emulated Telegram does not start: {_last_lines(process.stderr.read())}")
        yield Telegram(port)
    finally:
        process.kill()
        process.wait()


class Telegram:
    """The emulator's side for people, over HTTP."""

    def __init__(self, port: int) -> None:
        self._port = port

    def screen(self, person: int, after: int = -1, timeout_s: float = 0.0) -> tuple[int, list[dict[str, Any]]]:
        """The number of the newest frame of the chat, and its messages. With `after`: waits for a newer one."""
        path = f"/emulator/chats/{_FIRST_PERSON + person}?after={after}&timeout={timeout_s:g}"
        found = self._call("GET", path)
        return int(found["frame"]), list(found["screen"])

    def say(self, person: int, text: str) -> None:
        self._call("POST", "/emulator/say", {"user_id": _FIRST_PERSON + person, "text": text})

    def press(self, person: int, message: int, *, text: str | None, data: str | None) -> str:
        body = {"user_id": _FIRST_PERSON + person, "message_id": message, "text": text, "data": data}
        return str(self._call("POST", "/emulator/press", body)["press"])

    def answer_to(self, press: str) -> str:
        """The short text that the bot answered the press with; empty so far."""
        answer = self._call("GET", f"/emulator/presses/{press}?timeout=0")["answer"] or {}
        return str(answer.get("text") or "") if isinstance(answer, dict) else str(answer)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        content = None if body is None else json.dumps(body).encode()
        try:
            answer = ask(self._port, method, path, {"Content-Type": "application/json"}, content, timeout_s=40.0)
        except NoAnswer as error:
            raise NoTelegram(f"the emulated Telegram: {error}") from None
        if answer.status == 404:
            raise LookupError(answer.text[:200])
        if answer.status != 200:
            raise NoTelegram(f"the emulated Telegram answers {answer.status}: {answer.text[:200]}")
        found = answer.json()
        return found if isinstance(found, dict) else {}


def run(step: Mapping[str, Any], telegram: Telegram, variables: Mapping[str, Any]) -> tuple[list[Miss], str]:
    """Do the step; what is not as expected, and what was said, for a person."""
    person = step["person"]
    frame, before = telegram.screen(person)
    try:
        press, did = _act(step, telegram, before, variables)
    except LookupError as error:
        return [Miss("button", f"there is no such button: {error}")], _told(before)
    patience = 1.0 if step["expect"]["silent"] else PATIENCE
    deadline = time.monotonic() + step["within_s"] * patience
    while True:
        frame, now = telegram.screen(person, frame, max(0.0, min(_TURN_S, deadline - time.monotonic())))
        popup = telegram.answer_to(press) if press else ""
        fresh = [one for one in now if one["from_bot"] and one not in before]
        misses = _misses(step["expect"], fresh, popup, variables)
        over = time.monotonic() >= deadline
        if over or (not misses and not step["expect"]["silent"]):
            return misses, f"> {did}\n{_told(fresh)}{popup}"


def _act(
    step: Mapping[str, Any], telegram: Telegram, before: list[dict[str, Any]], variables: Mapping[str, Any]
) -> tuple[str, str]:
    """The number of a press, and what was done in words. Raises LookupError without such a button."""
    if step["send"] is not None:
        text = filled_text(step["send"], variables)
        telegram.say(step["person"], text)
        return "", text
    named, data = (None if step[key] is None else filled_text(step[key], variables) for key in ("press", "callback"))
    message = _with_button(before, named, data)
    return telegram.press(step["person"], message, text=named, data=data), f"[{named or data}]"


def _with_button(screen: list[dict[str, Any]], text: str | None, data: str | None) -> int:
    """The newest message that has the button; for callback data, which may be forged, else the newest of the bot."""
    of_bot = [one for one in screen if one["from_bot"]]
    for one in reversed(of_bot):
        for button in (button for row in one["buttons"] for button in row):
            if text is not None and text in str(button.get("text")):
                return int(one["message_id"])
            if data is not None and button.get("callback_data") == data:
                return int(one["message_id"])
    if data is not None and of_bot:
        return int(of_bot[-1]["message_id"])
    raise LookupError(text or data)


def _misses(
    expected: Mapping[str, Any], fresh: list[dict[str, Any]], popup: str, variables: Mapping[str, Any]
) -> list[Miss]:
    if expected["silent"]:
        return [Miss("silent", f"the bot answers: {_told(fresh)[:300]!r}")] if fresh or popup else []
    if not fresh and not popup:
        return [Miss("answer", "the bot does not answer")]
    found = misses_of_text(f"{_texts(fresh)}\n{popup}", expected, variables, exact=False)
    there = [plain(str(button.get("text"))) for one in fresh for row in one["buttons"] for button in row]
    for wanted in expected["buttons"]:
        if not any(plain(filled_text(wanted, variables)) in one for one in there):
            found.append(Miss(f"buttons:{wanted}", f"it has no button {wanted!r}"))
    return found


def _texts(messages: list[dict[str, Any]]) -> str:
    return "\n".join(str(one["text"]) for one in messages)


def _told(messages: list[dict[str, Any]]) -> str:
    lines = []
    for one in messages:
        buttons = " ".join(f"[{button.get('text')}]" for row in one["buttons"] for button in row)
        lines.append(f"{'bot' if one['from_bot'] else 'person'}: {one['text']} {buttons}".strip())
    return "\n".join(lines)


def _last_lines(text: str) -> str:
    """Whole lines: half of a secret would not be recognised."""
    return " ".join(text.strip().splitlines()[-3:])
