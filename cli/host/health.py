"""Whether a part does its work, and not only whether its process exists."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from cli.client.home import admin_key
from cli.host.parts import API, BOT, MODEL_PROXY, POSTGRES, TEMPORAL, WORKERS, Parts
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.names import Queue
from runtime import beat
from runtime.api_client import ApiClient
from runtime.embedded import dev_server, postgres
from runtime.keyring import KeyRing
from runtime.temporal.client import connect

_LOOK_AGAIN_S = 0.15
_PROBE_S = 4.0
_MODELS_S = 15.0
"""The proxy gives each vendor five seconds."""


async def wait_healthy(parts: Parts, name: str, timeout_s: float) -> None:
    """Wait until a part does its work.

    Raises OrchestratorError PROCESS_FAILED, with the end of the part's log, when it has ended or takes longer.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while (trouble := await trouble_of(parts, name)) is not None:
        if parts.book.record(name) is None:
            raise _failed(parts, name, "ended while it was starting")
        if loop.time() >= deadline:
            raise _failed(parts, name, f"is not ready after {timeout_s:g} s ({trouble})")
        await asyncio.sleep(_LOOK_AGAIN_S)


async def trouble_of(parts: Parts, name: str) -> str | None:
    """None if the part works, else what is wrong in a few words."""
    probe = {POSTGRES: _postgres, TEMPORAL: _temporal, API: _api, MODEL_PROXY: _model_proxy, BOT: _bot}.get(
        name, _workers
    )
    try:
        async with asyncio.timeout(_PROBE_S):
            return await probe(parts)
    except TimeoutError:
        return "no answer"


async def _postgres(parts: Parts) -> str | None:
    return await _refused(lambda: postgres.wait_ready(parts.database_url, timeout=0))


async def _temporal(parts: Parts) -> str | None:
    if not parts.has_own_temporal:
        return await _refused(lambda: _connected(parts))
    web_ui = parts.temporal_options.web_ui
    return await _refused(lambda: dev_server.wait_healthy(parts.temporal_target, timeout=0, web_ui=web_ui))


async def _connected(parts: Parts) -> None:
    await connect(parts.settings, keyring=KeyRing.load(parts.settings.codec_key_file), identity="cli")


async def _api(parts: Parts) -> str | None:
    try:
        async with ApiClient(parts.settings.api_url, "", attempts=1, timeout_s=_PROBE_S) as api:
            health = await api.health()
    except OrchestratorError as error:
        return "no answer" if error.code is ErrorCode.API_UNREACHABLE else error.message
    if not health.database:
        return "it cannot reach PostgreSQL"
    return None if health.temporal else "it cannot reach Temporal"


async def _workers(parts: Parts) -> str | None:
    if parts.is_run_elsewhere:
        return await _unserved(parts)
    if parts.book.record(WORKERS) is None:
        return "not running"
    quiet_s = beat.quiet_for(parts.ready_file)
    if quiet_s is None:
        return "it does not poll every task queue yet"
    return f"it hangs: no sign of life for {quiet_s:.0f} s" if quiet_s > beat.QUIET_S else None


async def _unserved(parts: Parts) -> str | None:
    """Temporal workers elsewhere are known by what the server hears of them."""
    try:
        async with ApiClient(parts.settings.api_url, admin_key(parts.settings), attempts=1, timeout_s=_PROBE_S) as api:
            queues = (await api.queues()).items
    except OrchestratorError as error:
        return f"unknown: {error.message}"
    unserved = [name for name in Queue.ALL if not any(queue.name == name and queue.served for queue in queues)]
    return f"no live Temporal worker on {', '.join(unserved)}" if unserved else None


async def _bot(parts: Parts) -> str | None:
    if parts.book.record(BOT) is None:
        return "not running"
    return None if parts.bot_ready_file.exists() else "it has not reached Telegram and the API yet"


async def _model_proxy(parts: Parts) -> str | None:
    if not parts.is_run_elsewhere and parts.book.record(MODEL_PROXY) is None:
        return "not running"
    try:
        await model_health(parts)
    except OrchestratorError as error:
        return error.message
    return None


async def model_health(parts: Parts, *, check: bool = False) -> dict[str, dict[str, Any]]:
    """What the model proxy says of each account; with `check` it asks the vendors, which is free.

    With Compose it is on no network of ours: it is asked through the socket that agents have, which tells nobody of
    accounts.

    Raises OrchestratorError API_UNREACHABLE.
    """
    try:
        socket = str(parts.settings.model_socket) if parts.is_run_elsewhere else None
        transport = httpx.AsyncHTTPTransport(uds=socket, trust_env=False)
        async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=_MODELS_S) as http:
            reply = await http.get(f"{parts.settings.model_proxy_url}/health", params={"check": "1"} if check else {})
        told = reply.raise_for_status().json()
        accounts: dict[str, dict[str, Any]] = {} if socket is not None else told["accounts"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise OrchestratorError.transient(ErrorCode.API_UNREACHABLE, f"no answer ({type(error).__name__})") from error
    return accounts


async def _refused(probe: Callable[[], Awaitable[object]]) -> str | None:
    try:
        await probe()
    except OrchestratorError as error:
        cause = error.details.get("cause")
        return f"no answer ({cause[:120]})" if cause else "no answer"
    return None


def _failed(parts: Parts, name: str, what: str) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.PROCESS_FAILED,
        f"{name} {what}. Its log is {parts.book.log_file(name)}:\n{parts.book.last_words(name)}",
        error_class=ErrorClass.TRANSIENT,
        details={"part": name},
    )
