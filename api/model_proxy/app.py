"""The proxy as an ASGI application: who asks, whether they may, and what they are told if not."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx
import structlog
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from api.model_proxy import http, questions
from api.model_proxy.accounts import Accounts
from api.model_proxy.admission import bodies
from api.model_proxy.admission.bodies import Bodies, Upload
from api.model_proxy.admission.shape import OutOfShape, check_shape
from api.model_proxy.apis import APIS, BY_PATH, ModelApi
from api.model_proxy.checking import Checks
from api.model_proxy.exchange import Exchange, Passage, Record
from api.model_proxy.keys import Keys
from api.model_proxy.ledger import UNSENT, Answered, Asked, Ledger
from api.model_proxy.prices import Prices
from api.model_proxy.questions import Question
from api.model_tables import ModelTurnRow
from contracts.errors import OrchestratorError
from contracts.models import ModelLimit
from runtime.model_vendors import KEY_NAMES

MOST_OF_A_TURN = 32
"""Open requests; no agent has as many."""
GOES_ON_S = 60.0
"""So long an answer that is no stream is read whose client has left: the vendor writes and bills it to its end."""
_LARGE = 1_000_000

log = structlog.get_logger(__name__)


class Refused(Exception):
    """The request is not sent. `stops` tells the agent that to ask again is of no use."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass
class ModelProxy:
    """Answers agents. Everything that it needs is open."""

    ledger: Ledger
    keys: Keys
    accounts: Accounts
    prices: Prices
    client: httpx.AsyncClient
    checks: Checks
    vendor_tools: bool = False
    bodies: Bodies = field(default_factory=Bodies)
    _open: Counter[tuple[str, int]] = field(default_factory=Counter)
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _going_on: set[asyncio.Task[None]] = field(default_factory=set)
    _ends: bool = False
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, until it is answered or its client has left."""
        path = str(scope["path"])
        if path == "/health":
            await self.checks.answer(scope, send)
            return
        api = BY_PATH.get(path)
        if api is None or scope["method"] != "POST":
            await _no_route(path, api, send)
            return
        upload = Upload(Headers(scope=scope), receive)
        try:
            await self._admit(api, scope, upload, receive, send)
        except bodies.Gone:
            pass
        except Refused as refused:
            # Who is refused before its body was read hears of it only when that was sent.
            await upload.drop()
            closing = [] if upload.is_over else [(b"connection", b"close")]
            await http.reply(send, refused.status, api.refuse(refused.status, refused.message), closing)

    async def _admit(self, api: ModelApi, scope: Scope, upload: Upload, receive: Receive, send: Send) -> None:
        """Who may not ask has nothing read: the token comes first, then room for the body."""
        turn = await self._turn(Headers(scope=scope))
        with self._one_of(turn), _told():
            async with self.bodies.read((turn.worker_id, turn.turn), upload) as body:
                await self._unless_gone(self._answer(api, turn, scope, body, send), receive)

    async def _turn(self, headers: Headers) -> ModelTurnRow:
        try:
            turn = await self.ledger.turn(http.token(headers))
        except OrchestratorError as error:
            raise _unable(error) from error
        if turn is None:
            raise Refused("This token belongs to no turn that is open.", 401)
        return turn

    async def _unless_gone(self, answering: Awaitable[None], receive: Receive) -> None:
        """Until it is answered; when the client leaves, the request to the vendor ends too."""
        task = asyncio.ensure_future(answering)
        gone = asyncio.ensure_future(_gone(receive))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            task.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def drain(self) -> None:
        """Until every request has been answered or given up, and written down. Nothing goes on without its client."""
        self._ends = True
        for task in self._going_on:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.ledger.drain()

    async def _answer(self, api: ModelApi, turn: ModelTurnRow, scope: Scope, body: bytes, send: Send) -> None:
        try:
            limit = await self._pass(api, turn, scope, body, send)
        except OrchestratorError as error:
            raise _unable(error) from error
        if limit is not None:
            await http.reply(send, api.stop_status, api.refuse(api.stop_status, limit.message))

    async def _pass(
        self, api: ModelApi, turn: ModelTurnRow, scope: Scope, body: bytes, send: Send
    ) -> ModelLimit | None:
        """Have the request answered by its vendor; what stops the turn, if it was not sent because of that."""
        question = await self._question(api, body)
        if turn.stopped_by is not None and turn.stopped_by.get("kind") == "outage":
            # Some agents try for minutes, in silence; the workflow waits, and goes on in the same session.
            return ModelLimit.model_validate(turn.stopped_by)
        key = await self.keys.key(api.account)
        if key is None:
            return await self._stopped(turn, _without_key(api))
        url = f"{self.accounts.accounts[api.account].base_url}{api.below}{http.query(scope)}"
        passage = Passage(api, url, http.upward(Headers(scope=scope), api.account, key), key, body)
        return await self._send(passage, self._asked(turn, api, question, len(body)), send)

    async def _question(self, api: ModelApi, body: bytes) -> Question:
        """What is asked. A large body is read beside the loop, which has others to answer, and one at a time: what is
        built from its JSON takes several times its size.
        """
        if len(body) <= _LARGE:
            return self._read(api, body)
        async with self._reading:
            return await asyncio.to_thread(self._read, api, body)

    def _read(self, api: ModelApi, body: bytes) -> Question:
        try:
            check_shape(body)
            return questions.read(api.name, body, allow_vendor_side=self.vendor_tools)
        except (OutOfShape, questions.NotAsked) as refused:
            raise Refused(str(refused), 400) from None

    @contextmanager
    def _one_of(self, turn: ModelTurnRow) -> Iterator[None]:
        key = (turn.worker_id, turn.turn)
        if self._open[key] >= MOST_OF_A_TURN:
            raise Refused(f"This turn has {MOST_OF_A_TURN} requests open already.", 429)
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]

    def _asked(self, turn: ModelTurnRow, api: ModelApi, question: Question, size: int) -> Asked:
        expected = self.prices.estimate(api.account, question.model, size)
        most = self.prices.estimate(api.account, question.model, size, question.most_output)
        return Asked(turn, api, question, size, min(expected, most), most)

    async def _stopped(self, turn: ModelTurnRow, limit: ModelLimit) -> ModelLimit:
        await self.ledger.stop(turn, limit)
        return limit

    async def _send(self, passage: Passage, asked: Asked, send: Send) -> ModelLimit | None:
        """Reserve, send and record it. Returns what limits it, if nothing was sent because of that."""
        if not passage.api.billed:
            async with self._place(asked) as limit:
                if limit is None:
                    await self._exchange(passage, asked, _is_no_row).run(send)
            return limit
        # Before it takes a place of the account: what waits for a budget keeps no other task from it.
        begun = await self.ledger.begin(asked)
        if isinstance(begun, ModelLimit):
            return begun
        is_sent = False
        try:
            async with self._place(asked) as limit:
                if limit is None:
                    is_sent = True
                    await self._recorded(passage, asked, begun, send)
                return limit
        finally:
            if not is_sent:
                await self.ledger.finish(begun, asked, UNSENT)

    @asynccontextmanager
    async def _place(self, asked: Asked) -> AsyncIterator[ModelLimit | None]:
        async with self.accounts.one_request(
            asked.api.account, (asked.turn.worker_id, asked.turn.turn), asked.model
        ) as limit:
            yield None if limit is None else await self._stopped(asked.turn, limit)

    async def _recorded(self, passage: Passage, asked: Asked, request_id: str, send: Send) -> None:
        recorded = partial(self.ledger.finish, request_id, asked)
        exchange = self._exchange(passage, asked, recorded)
        running = asyncio.ensure_future(exchange.run(send))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            if not asked.question.is_stream and not self._ends:
                self._going_on.add(running)
                await asyncio.wait({running}, timeout=GOES_ON_S)
            raise
        finally:
            self._going_on.discard(running)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await recorded(exchange.ended())

    def _exchange(self, passage: Passage, asked: Asked, record: Record) -> Exchange:
        return Exchange(self.client, self.accounts, self.prices, passage, asked, record)


@contextmanager
def _told() -> Iterator[None]:
    """What a body lacks, as a refusal."""
    try:
        yield
    except bodies.TooLarge as error:
        raise Refused(f"The request is larger than {bodies.MAX_BODY // 1_000_000} MB.", 413) from error
    except bodies.TooSlow as error:
        raise Refused("The body of the request did not arrive in time.", 408) from error
    except bodies.NoRoom as error:
        raise Refused("The platform's model proxy has no room for so large a request now. Try again.", 503) from error


def _unable(error: OrchestratorError) -> Refused:
    log.error("the platform cannot serve a model now", code=error.code.value)
    return Refused("The platform's model proxy cannot answer now. Try again.", 503)


async def _is_no_row(answered: Answered) -> None:
    """For what costs nothing."""


def _without_key(api: ModelApi) -> ModelLimit:
    name = KEY_NAMES[api.account]
    message = (
        f"The platform has no key for {api.account}. Set {name} where it is started, or store it with "
        f"`orchestrator secret set --platform {name}`."
    )
    return ModelLimit(kind="auth", message=message, account=api.account)


async def _no_route(path: str, api: ModelApi | None, send: Send) -> None:
    refuse = (api or (APIS[0] if path.startswith("/v1/messages") else APIS[-1])).refuse
    if api is not None:
        await http.reply(send, 405, refuse(405, "This route takes POST."), [(b"allow", b"POST")])
    else:
        await http.reply(send, 404, refuse(404, "The platform's model proxy has no such route."))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
