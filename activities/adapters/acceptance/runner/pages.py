"""Steps of a page: what a visitor does in a browser, and what is seen there."""

import base64
import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .browser import Browser, Gone, PageFailed
from .expectations import Miss, misses_of_text, plain
from .http_client import LOOPBACK, PATIENCE, request_of
from .values import filled_text

MAX_PICTURE = 2 * 1024 * 1024
_LOAD_S = 30.0
_NAVIGATES_S = 0.5
"""A click that opens another page begins to load it within that time."""
_LOOK_EVERY_S = 0.1
_SHOWN = 1_500
_LOOK = """function () {
  return {text: (document.body ? document.body.innerText : ''), title: document.title,
          path: location.pathname + location.search, url: location.href};
}"""
# Finds what a person means by a text: a field by its label, else what can be pressed. The exact text is preferred.
_FIND = """function (target, role, act, value) {
  const plain = text => (text || '').toLowerCase().replace(/\\s+/g, ' ').trim();
  const shown = one => one.getClientRects().length > 0;
  const fields = 'input:not([type=hidden]):not([type=submit]):not([type=button]),textarea,select';
  const presses = 'a,button,input[type=submit],input[type=button],[role=button],[role=link],summary,label';
  const wants = role === 'field' || ['fill', 'choose', 'tick', 'untick', 'press_enter'].includes(act)
    ? fields : role === 'link' ? 'a,[role=link]' : role === 'button'
    ? 'button,input[type=submit],input[type=button],[role=button]' : presses;
  const names = one => [...(one.labels || [])].map(label => label.innerText)
    .concat([one.getAttribute('aria-label'), one.placeholder, one.getAttribute('name'), one.id, one.title,
             one.matches(fields) ? '' : (one.value || one.innerText)]).map(plain).filter(Boolean);
  const all = [...document.querySelectorAll(wants)].filter(shown), wanted = plain(target);
  const one = all.find(one => names(one).includes(wanted))
    || all.find(one => names(one).some(name => name.includes(wanted)));
  if (!one) return null;
  one.scrollIntoView({block: 'center'});
  if (act === 'choose') {
    const is = option => [plain(option.text), plain(option.value)].includes(plain(value));
    const option = [...(one.options || [])].find(is);
    if (!option) return null;
    one.value = option.value;
    for (const kind of ['input', 'change']) one.dispatchEvent(new Event(kind, {bubbles: true}));
  }
  if (act === 'fill') { one.focus(); if (one.select) one.select(); }
  if (act === 'fill' && ['date', 'time', 'datetime-local', 'month', 'color', 'range'].includes(one.type)) {
    one.value = value;
    for (const kind of ['input', 'change']) one.dispatchEvent(new Event(kind, {bubbles: true}));
    return {done: true};
  }
  if (act === 'press_enter') one.focus();
  const box = one.getBoundingClientRect();
  return {x: box.x + box.width / 2, y: box.y + box.height / 2, checked: !!one.checked, done: act === 'choose'};
}"""


def run(
    step: Mapping[str, Any], page: Browser, port: int, variables: Mapping[str, Any], picture: Path | None
) -> tuple[list[Miss], str]:
    """Do the step; what is not as expected, and what is seen, for a person. A picture is written in any case."""
    try:
        misses = _opened(step, page, port, variables)
        for action in step["actions"]:
            if misses:
                break
            misses = _act(action, page, variables)
        deadline = time.monotonic() + step["within_s"] * PATIENCE
        while True:
            seen = _look(page)
            found = misses or _misses(step["expect"], seen, page, variables)
            if not found or misses or time.monotonic() >= deadline:
                return found, _told(seen, page)
            page.listen(_LOOK_EVERY_S)
    except PageFailed as error:
        return [Miss("page", str(error))], str(error)
    finally:
        if picture is not None:
            with contextlib.suppress(Gone):
                _photograph(page, picture)


def _opened(step: Mapping[str, Any], page: Browser, port: int, variables: Mapping[str, Any]) -> list[Miss]:
    page.seen.errors.clear()
    if step["path"] is None:
        return []
    without_body = {"method": "GET", "path": step["path"], "headers": {}, "json": None, "form": None, "text": None}
    _, path, _, _ = request_of(without_body, variables)
    page.go(f"http://{LOOPBACK}:{port}{path}", _LOAD_S)
    if (page.seen.status or 0) >= 400:
        return [Miss("page:status", f"the page {path} answers {page.seen.status}")]
    return []


def _act(action: Mapping[str, Any], page: Browser, variables: Mapping[str, Any]) -> list[Miss]:
    target, value = filled_text(action["target"], variables), filled_text(action["value"] or "", variables)
    kind, found = action["do"], None
    # A page that is drawn by a script has its fields a moment later.
    for found in _attempts(page, action, target, value):
        if found is not None:
            break
    if found is None:
        return [Miss(f"{kind}:{action['target']}", f"there is nothing to {kind} that is called {target!r}")]
    before = page.seen.began
    if kind == "fill" and not found.get("done"):
        page.call("Input.insertText", text=value) if value else _press(page, "Delete", 46)
    elif kind == "press_enter":
        _press(page, "Enter", 13, text="\r")
    elif kind == "click" or (kind in {"tick", "untick"} and found["checked"] != (kind == "tick")):
        for event in ("mousePressed", "mouseReleased"):
            page.call("Input.dispatchMouseEvent", type=event, x=found["x"], y=found["y"], button="left", clickCount=1)
    if kind in {"click", "press_enter", "choose"}:
        _await_navigation(page, before)
    return []


def _attempts(page: Browser, action: Mapping[str, Any], target: str, value: str) -> Iterator[dict[str, Any] | None]:
    deadline = time.monotonic() + 3.0
    while True:
        try:
            yield page.evaluate(_FIND, target, action["role"], action["do"], value)
        except Gone:
            yield None
        if time.monotonic() > deadline:
            return
        page.listen(_LOOK_EVERY_S)


def _press(page: Browser, key: str, code: int, **more: object) -> None:
    for event in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=event, key=key, code=key, windowsVirtualKeyCode=code, **more)


def _await_navigation(page: Browser, before: int) -> None:
    deadline = time.monotonic() + _NAVIGATES_S
    while page.seen.began == before and time.monotonic() < deadline:
        page.listen(deadline - time.monotonic())
    page.settle(_LOAD_S)


def _look(page: Browser) -> dict[str, Any]:
    for _ in range(5):
        with contextlib.suppress(Gone):
            found = page.evaluate(_LOOK)
            return found if isinstance(found, dict) else {}
        page.settle(_LOAD_S)
    raise PageFailed("the page goes to another one again and again")


def _misses(
    expected: Mapping[str, Any], seen: Mapping[str, Any], page: Browser, variables: Mapping[str, Any]
) -> list[Miss]:
    text, title = str(seen.get("text", "")), str(seen.get("title", ""))
    found = misses_of_text(text, expected, variables, exact=False, contains="visible", lacks="absent")
    if expected["title"] and plain(filled_text(expected["title"], variables)) not in plain(title):
        found.append(Miss("title", f"the title is {title[:200]!r}"))
    if expected["path"] and not str(seen.get("path", "")).startswith(filled_text(expected["path"], variables)):
        found.append(Miss("path", f"the address is {str(seen.get('path'))[:200]!r}"))
    if not text.strip():
        found.append(Miss("empty", "the page shows no text"))
    if page.seen.errors and not expected["console_errors"]:
        found.append(Miss("console", f"the browser reports errors: {page.seen.errors[0]}"))
    return found


def _told(seen: Mapping[str, Any], page: Browser) -> str:
    text = f"{seen.get('path')} {page.seen.status or ''} {seen.get('title')!r}\n{seen.get('text', '')}"
    errors = "".join(f"\nerror: {one}" for one in list(page.seen.errors)[:5])
    return text[:_SHOWN] + errors


def _photograph(page: Browser, picture: Path) -> None:
    """What is in the window; smaller as a JPEG never, since who looks at it expects PNG."""
    content = base64.b64decode(page.call("Page.captureScreenshot", format="png")["data"])
    if len(content) <= MAX_PICTURE:
        picture.write_bytes(content)
