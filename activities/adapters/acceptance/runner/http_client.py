"""One HTTP request to a service, bounded in time and size."""

import http.client
import json
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from .expectations import Answer
from .values import filled, filled_text

MAX_BODY = 256 * 1024
TIMEOUT_S = 30.0
PATIENCE = 2.0
"""How many times the given time a step may take: what is built and tested beside it is no fault of the service."""
LOOPBACK = "127.0.0.1"
_SAFE_IN_PATH = "/?&=%:@!$'()*+,;~-._[]"


class NoAnswer(Exception):
    """Its text says why."""


def request_of(step: Mapping[str, Any], variables: Mapping[str, Any]) -> tuple[str, str, dict[str, str], bytes | None]:
    """Method, path, headers and body of a step. Raises Unusable for an unknown variable."""
    quoted = {name: quote(filled_text(f"{{{name}}}", variables), safe="") for name in variables}
    path = quote(filled_text(step["path"], quoted), safe=_SAFE_IN_PATH)
    headers, body = _body(step, variables)
    own = {name: filled_text(value, variables) for name, value in step["headers"].items()}
    named = {name.lower() for name in own}
    return step["method"], path, {k: v for k, v in headers.items() if k.lower() not in named} | own, body


def _body(step: Mapping[str, Any], variables: Mapping[str, Any]) -> tuple[dict[str, str], bytes | None]:
    if step["json"] is not None:
        return {"Content-Type": "application/json"}, json.dumps(filled(step["json"], variables)).encode()
    if step["form"] is not None:
        form = {name: filled_text(value, variables) for name, value in step["form"].items()}
        return {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form).encode()
    if step["text"] is not None:
        return {"Content-Type": "text/plain; charset=utf-8"}, filled_text(step["text"], variables).encode()
    return {}, None


def ask(
    port: int, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:  # fmt: skip
    """Raises NoAnswer. An answer that comes byte by byte ends with the time, too."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_s)
    try:
        connection.connect()
        hang_up = threading.Timer(timeout_s, _shut, [connection.sock])
        hang_up.daemon = True
        hang_up.start()
        try:
            connection.request(method, path, body, {"Connection": "close", **(headers or {})})
            response = connection.getresponse()
            content = response.read(MAX_BODY + 1)
        finally:
            hang_up.cancel()
    except TimeoutError:
        raise NoAnswer(f"no answer within {timeout_s:g} s") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(f"no HTTP answer ({type(error).__name__})") from None
    finally:
        connection.close()
    return Answer(response.status, response.getheaders(), content[:MAX_BODY], cut=len(content) > MAX_BODY)


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
