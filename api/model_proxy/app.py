"""The proxy as an ASGI application: who asks, whether they may, and what they are told if not."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx
import structlog
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from api.model_proxy import http
from api.model_proxy.accounts import Accounts
from api.model_proxy.admission import bodies
from api.model_proxy.admission.bodies import Bodies, Upload
from api.model_proxy.admission.named_model import NoModel, named_model
from api.model_proxy.apis import APIS, BY_PATH, ModelApi
from api.model_proxy.checking import Checks
from api.model_proxy.exchange import Exchange, Passage, Record
from api.model_proxy.keys import Keys
from api.model_proxy.ledger import Answered, Asked, Ledger
from api.model_proxy.prices import Prices
from api.model_tables import ModelTurnRow
from contracts.errors import OrchestratorError
from contracts.models import ModelLimit
from runtime.model_vendors import KEY_NAMES

MOST_OF_A_TURN = 32
"""Open requests; no agent has as many."""
_MAX_MODEL = 200
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
    bodies: Bodies = field(default_factory=Bodies)
    _open: Counter[tuple[str, int]] = field(default_factory=Counter)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

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
        """Until every request has been answered or given up, and written down."""
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
        model = await _model_of(body)
        if turn.stopped_by is not None and turn.stopped_by.get("kind") == "outage":
            # Some agents try for minutes, in silence; the workflow waits, and goes on in the same session.
            return ModelLimit.model_validate(turn.stopped_by)
        key = await self.keys.key(api.account)
        if key is None:
            return await self._stopped(turn, _without_key(api))
        url = f"{self.accounts.accounts[api.account].base_url}{api.below}{http.query(scope)}"
        passage = Passage(api, url, http.upward(Headers(scope=scope), api.account, key), key, body)
        async with self.accounts.one_request(api.account, (turn.worker_id, turn.turn)) as limit:
            if limit is not None:
                return await self._stopped(turn, limit)
            return await self._send(passage, self._asked(turn, api, model, body), send)

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

    def _asked(self, turn: ModelTurnRow, api: ModelApi, model: str, body: bytes) -> Asked:
        return Asked(turn, api, model, self.prices.estimate(api.account, model, len(body)))

    async def _stopped(self, turn: ModelTurnRow, limit: ModelLimit) -> ModelLimit:
        await self.ledger.stop(turn, limit)
        return limit

    async def _send(self, passage: Passage, asked: Asked, send: Send) -> ModelLimit | None:
        """Send and record it. Returns the budget that is spent, if nothing was sent because of one."""
        if not passage.api.billed:
            await self._exchange(passage, asked, _is_no_row).run(send)
            return None
        begun = await self.ledger.begin(asked)
        if isinstance(begun, ModelLimit):
            return begun
        recorded = partial(self.ledger.finish, begun, asked)
        exchange = self._exchange(passage, asked, recorded)
        try:
            await exchange.run(send)
        finally:
            await recorded(exchange.answered)
        return None

    def _exchange(self, passage: Passage, asked: Asked, record: Record) -> Exchange:
        return Exchange(self.client, self.accounts, self.prices, passage, asked, record)


async def _model_of(body: bytes) -> str:
    """The model that a request names. A large one is looked through beside the loop, which has others to answer."""
    try:
        model = await asyncio.to_thread(named_model, body) if len(body) > _LARGE else named_model(body)
    except NoModel as error:
        raise Refused(str(error), 400) from error
    if not model.isprintable() or not 1 <= len(model) <= _MAX_MODEL:
        raise Refused("The request names no model.", 400)
    return model


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
