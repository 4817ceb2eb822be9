"""One request on its way to a vendor and back, byte for byte, and what it counts for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from time import monotonic

import httpx
import structlog
from starlette.types import Send

from api.model_proxy import http
from api.model_proxy.accounts import SHORT_WAIT_S, Accounts
from api.model_proxy.apis import ModelApi
from api.model_proxy.ledger import Answered, Asked
from api.model_proxy.limits import is_lasting, is_of_the_account, limit_of, makes_wait
from api.model_proxy.prices import EXPECTED_OUTPUT, Price, Prices, tokens_of
from api.model_proxy.reading import Reading
from api.model_proxy.usage import TokenUse
from contracts.base import utc_now
from contracts.models import ModelLimit
from contracts.redaction import redacted

MAX_REFUSAL = 1_000_000
"""Bytes of a vendor's refusal; they are held back to look for the key in them."""
_TOKENS_PER_S = 100
"""About as fast as fast models write."""
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Passage:
    """What is sent: to which URL, with which headers and the real key, and the body as it came."""

    api: ModelApi
    url: str
    headers: list[tuple[str, str]]
    key: str
    body: bytes


Record = Callable[[Answered], Awaitable[None]]


class Exchange:
    """`answered` is what is known of the answer at any moment: also when the client leaves or this process ends.

    `record` writes it down once it is whole, before the agent sees its end: whoever asks then what an agent has spent
    hears of this answer too.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        accounts: Accounts,
        prices: Prices,
        passage: Passage,
        asked: Asked,
        record: Record,
    ) -> None:
        self.answered = Answered(state="lost", cost_usd=asked.expected_usd, known=False)
        self._client = client
        self._accounts = accounts
        self._prices = prices
        self._passage = passage
        self._asked = asked
        self._record = record
        self._account = passage.api.account
        self._sent_at = monotonic()
        self._received = 0
        self._is_left = False
        self._is_judged = False

    async def run(self, send: Send) -> None:
        """Send the request and pass its answer on."""
        try:
            async with self._answer() as response:
                if response.status_code >= 400:
                    await self._refused(response, send)
                else:
                    await self._stream(response, send)
        except httpx.RequestError as error:
            await self._no_answer(error, send)

    def ended(self) -> Answered:
        """What became of the request, when nothing more is read: also of one whose client has left."""
        if not self._is_judged:
            self._is_left = True
            self.answered = replace(self.answered, cost_usd=self._guessed(Reading()).usd)
        return self.answered

    @asynccontextmanager
    async def _answer(self) -> AsyncIterator[httpx.Response]:
        passage = self._passage
        headers = [*passage.headers, ("content-length", str(len(passage.body)))]
        request = self._client.build_request("POST", passage.url, headers=headers, content=http.pieces(passage.body))
        response = await self._client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    async def _stream(self, response: httpx.Response, send: Send) -> None:
        encoding = response.headers.get("content-encoding", "").lower()
        reader = self._passage.api.reader(response.headers.get("content-type", ""), encoding)
        self.answered = replace(self.answered, status=response.status_code, answered_at=utc_now())
        headers = http.downward(response.headers.raw, self._passage.key)
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        held, is_recorded = b"", False
        try:
            async for chunk in response.aiter_raw():
                self._received += len(chunk)
                reader.feed(chunk)
                if reader.reading.whole and not is_recorded:
                    self.answered, is_recorded = self._read(reader.reading), True
                    await self._record(self.answered)
                # One document is over with its last bytes, which are therefore held back.
                held, chunk = (b"", chunk) if reader.is_stream else (chunk, held)
                if chunk:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except asyncio.CancelledError:
            self._is_left = True
            raise
        except httpx.TransportError as error:
            # The reply has begun: that it ends early is all that can be said now.
            log.warning("an answer was cut off", account=self._account, cause=type(error).__name__)
            return
        finally:
            self.answered = self.answered if is_recorded else self._read(reader.close())
        if not is_recorded:
            await self._record(self.answered)
        await send({"type": "http.response.body", "body": held})

    def _read(self, reading: Reading) -> Answered:
        """What an answer counts for, of which this was read."""
        self._is_judged = True
        limit = None
        if reading.error is not None:
            status = self.answered.status or 200
            message = redacted(reading.message, [self._passage.key])
            limit = limit_of(self._account, status, {}, reading.error, message, utc_now())
        told = replace(self.answered, limit=limit, upstream_id=reading.upstream_id)
        is_told = reading.use is not None and not reading.spoiled
        if reading.error is not None and not is_told and not reading.written:
            return replace(told, state="failed", cost_usd=Decimal(0), known=True)
        if is_told and reading.whole:
            price = self._price(reading, reading.use or TokenUse())
            state = "answered" if reading.error is None else "partial"
            return replace(told, state=state, cost_usd=price.usd, known=True, price_known=price.known, use=reading.use)
        # Cut off, or silent about its use.
        guessed = self._guessed(reading)
        state = "answered" if reading.whole and reading.error is None else "partial" if is_told else "lost"
        use = reading.use if is_told else None
        return replace(told, state=state, cost_usd=guessed.usd, price_known=guessed.known, use=use)

    def _guessed(self, reading: Reading) -> Price:
        """What a request counts for whose use nobody says: what is known of it, and what the vendor may bill beside."""
        known = reading.use if reading.use is not None and not reading.spoiled else None
        use = known or TokenUse(input=tokens_of(self._asked.size))
        return self._price(reading, replace(use, output=max(use.output, self._most_written(reading))))

    def _most_written(self, reading: Reading) -> int:
        """Tokens that may be billed: so many as were seen, or as could be written in the time.

        Models also think where nobody sees it. What is no stream is written to its end, whoever listens.
        """
        most = self._asked.question.most_output
        is_stream = self._asked.question.is_stream
        if self._is_left and not is_stream:
            return most
        is_unread = reading.model is None and not reading.written
        seen = tokens_of(self._received if is_unread else reading.written)
        in_time = round((monotonic() - self._sent_at) * _TOKENS_PER_S)
        return min(most, max(seen, in_time, 0 if is_stream else EXPECTED_OUTPUT))

    def _price(self, reading: Reading, use: TokenUse) -> Price:
        """By the model that was asked for; by the name in the answer if only that has a price."""
        price = self._prices.price(self._account, self._asked.model, use)
        if not price.known and reading.model is not None:
            named = self._prices.price(self._account, reading.model, use)
            price = named if named.known else price
        return price

    async def _refused(self, response: httpx.Response, send: Send) -> None:
        """A vendor's refusal passes as it came; it costs nothing, and says what limits the account or the turn."""
        body, status = await _at_most(response, MAX_REFUSAL), response.status_code
        passed = http.without_key(body, self._passage.key)
        reader = self._passage.api.reader("application/json", "")
        reader.feed(passed)
        reading = reader.close()
        headers = {name.lower(): value for name, value in response.headers.items()}
        limit = limit_of(self._account, status, headers, reading.error, reading.message, utc_now())
        self._is_judged = True
        self.answered = Answered(
            state="failed", cost_usd=Decimal(0), known=True, status=status, limit=limit,
            upstream_id=headers.get("request-id", headers.get("x-request-id")), answered_at=utc_now(),
        )  # fmt: skip
        if limit is not None:
            model = "" if is_of_the_account(limit, headers, reading.error) else self._asked.model
            await self._accounts.hear(self._account, model, limit, status)
        await self._record(self.answered)
        kept = self._of_refusal(response, limit)
        kept.append((b"content-length", str(len(passed)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": kept})
        await send({"type": "http.response.body", "body": passed})

    def _of_refusal(self, response: httpx.Response, limit: ModelLimit | None) -> list[tuple[bytes, bytes]]:
        """The headers of a refusal, without what has agents wait in silence for longer than the proxy does."""
        down = http.downward(response.headers.raw, self._passage.key)
        kept = [pair for pair in down if pair[0] not in {b"content-length", b"content-encoding"}]
        if limit is not None and is_lasting(limit, utc_now(), SHORT_WAIT_S):
            return [pair for pair in kept if not makes_wait(pair[0])]
        return kept

    async def _no_answer(self, error: httpx.RequestError, send: Send) -> None:
        """What was never sent costs nothing; the rest counts at its estimate: no agent can bring this about."""
        self._is_judged = True
        log.warning("a vendor does not answer", account=self._account, cause=type(error).__name__)
        status = 504 if isinstance(error, httpx.TimeoutException) else 502
        said = f"{self._account} did not answer ({type(error).__name__})."
        limit = ModelLimit(kind="outage", message=said, account=self._account)
        self.answered = replace(self.answered, status=status, limit=limit)
        if isinstance(error, _NEVER_SENT):
            self.answered = replace(self.answered, state="failed", cost_usd=Decimal(0), known=True)
        await self._record(self.answered)
        await http.reply(send, status, self._passage.api.refuse(status, said))


async def _at_most(response: httpx.Response, size: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > size:
            break
    return bytes(body[:size])
