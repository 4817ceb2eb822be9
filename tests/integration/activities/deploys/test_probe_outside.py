"""The strict look at a service, against real sockets."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from activities.adapters.release.probe import MAX_BODY, Expectation, judge, look, url_host
from tests.support.patience import patience
from tests.support.ports import any_free

EXPECTED = Expectation("/health", '"status":"ok"', "rel-1")
GOOD = b'{"status":"ok","release":"rel-1"}'


@contextmanager
def server(status: int, body: bytes, location: str | None = None) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 200)
            if location is not None and self.path == "/health":
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body if location is None or self.path == "/health" else GOOD)

        def log_message(self, format: str, *args: object) -> None:
            return

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield http.server_port
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


async def test_the_expected_answer_is_good() -> None:
    with server(200, GOOD) as port:
        assert (await look("127.0.0.1", port, EXPECTED)).ok


@pytest.mark.parametrize("path", ["/\u00e9", "/a b", "/a\r\nHost: b"])
async def test_a_path_that_no_request_can_have_is_no_answer(path: str) -> None:
    with server(200, GOOD) as port:
        seen = await look("127.0.0.1", port, Expectation(path, "", "rel-1"))
    assert (seen.ok, seen.answered) == (False, False)


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (404, GOOD, "404"),
        (500, GOOD, "500"),
        (204, b"", "204"),
        (200, b"<html>another program</html>", "without"),
        (200, b'{"status":"ok","release":"rel-0"}', "another release"),
        (200, b'{"status":"ok","release":"rel-10"}', "another release"),
        (200, b'{"status":"ok"}', "does not say which release"),
        (200, GOOD + b" " * (MAX_BODY + 1), "more than"),
        (200, b'{"status":"ok","x":' + b"[" * 60_000, "does not say which release"),
    ],
)
async def test_every_other_answer_fails_with_its_reason(status: int, body: bytes, why: str) -> None:
    with server(status, body) as port:
        answer = await look("127.0.0.1", port, EXPECTED)
    assert (answer.ok, answer.answered) == (False, True)
    assert why in str(answer.error)


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["header", "body"])
async def test_a_service_that_answers_a_byte_at_a_time_keeps_nothing_of_us(start: bytes) -> None:
    hung_up = asyncio.Event()

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        except OSError:
            hung_up.set()
        finally:
            writer.close()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as slow:
        answer = await look("127.0.0.1", slow.sockets[0].getsockname()[1], EXPECTED, timeout_s=0.2)
        assert (answer.ok, answer.error) == (False, "no answer within 0.2 s")
        async with asyncio.timeout(patience(10)):
            await hung_up.wait()


async def test_a_redirect_is_not_followed() -> None:
    with server(302, b"", location="/elsewhere") as port:
        answer = await look("127.0.0.1", port, EXPECTED)
    assert "302" in str(answer.error)


async def test_a_closed_port_and_a_silent_server_differ_from_a_wrong_answer() -> None:
    refused = await look("127.0.0.1", any_free(), EXPECTED)
    assert (refused.ok, refused.answered) == (False, False)
    silent = await asyncio.start_server(lambda *_: asyncio.sleep(5), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    late = await look("127.0.0.1", port, EXPECTED, timeout_s=0.2)
    silent.close()
    assert (late.ok, late.answered) == (False, False)


async def test_something_that_does_not_speak_http_is_no_answer() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-nothing\r\n")
        writer.close()

    other = await asyncio.start_server(shout, "127.0.0.1", 0)
    answer = await look("127.0.0.1", other.sockets[0].getsockname()[1], EXPECTED)
    other.close()
    assert not answer.ok


def test_a_plain_text_answer_may_name_its_release() -> None:
    expected = Expectation("/health", "fine", "rel-1")
    assert judge(200, b"fine rel-1", expected).ok
    assert not judge(200, b"fine", expected).ok


def test_an_ipv6_address_is_bracketed_in_urls() -> None:
    assert (url_host("::1"), url_host("127.0.0.1")) == ("[::1]", "127.0.0.1")
