"""Temporal's remote codec protocol, decoding only: it lets the Web UI show what is stored encrypted.

There is no `/codec/encode`: through the Web UI nothing is started or signalled with data.
"""

import json
from pathlib import Path

import structlog
from fastapi import Request
from fastapi.responses import Response
from google.protobuf import json_format
from starlette.concurrency import run_in_threadpool
from temporalio.api.common.v1 import Payload, Payloads

from api.problems import permanent
from api.web_ui.access import require_own_page, require_viewer
from api.web_ui.parts import web_ui_of
from contracts.errors import ErrorCode, OrchestratorError
from runtime.keyring import KeyRing
from runtime.temporal.codec import ENCODING, EncryptionCodec

MAX_PAYLOADS = 5_000
"""A page of the Web UI has a few hundred."""

log = structlog.get_logger(__name__)


async def decode(request: Request) -> Response:
    """The payloads of the body, decrypted.

    A payload whose key this installation does not have stays as it is; instead of one that is not from this platform
    there is a note. Refuses a page of another address (403 NOT_ALLOWED), a browser that is not logged in (401), a
    person who is not an admin (403), a body that is not a list of payloads (422), and too many of them (413).
    """
    require_own_page(request, await require_viewer(request))
    keys = web_ui_of(request).settings.codec_key_file
    text = await run_in_threadpool(_decoded_page, await request.body(), keys)
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})


def _decoded_page(body: bytes, keys: Path) -> str:
    """In a thread: up to eight megabytes are parsed, decrypted and written."""
    payloads = _parsed(body)
    codec = EncryptionCodec(KeyRing.load(keys))
    decoded = Payloads(payloads=[_decoded(codec, payload) for payload in payloads])
    return json_format.MessageToJson(decoded, indent=None)


def _parsed(body: bytes) -> list[Payload]:
    try:
        payloads = list(json_format.Parse(body, Payloads(), ignore_unknown_fields=True).payloads)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError):
        raise permanent(ErrorCode.INVALID_INPUT, 'Send {"payloads": [...]} as Temporal writes them.') from None
    if len(payloads) > MAX_PAYLOADS:
        raise permanent(ErrorCode.PAYLOAD_TOO_LARGE, f"Send at most {MAX_PAYLOADS} payloads at once.")
    return payloads


def _decoded(codec: EncryptionCodec, payload: Payload) -> Payload:
    if "type" in payload.metadata and payload.metadata.get("encoding") != ENCODING:
        # A search attribute. The server reads them, so they are never encrypted.
        return payload
    try:
        return codec.open(payload)
    except OrchestratorError as error:
        # One unreadable value must not hide the others of its page.
        log.warning("a payload cannot be decrypted", code=error.code.value, **error.details)
        return payload if error.code is ErrorCode.PAYLOAD_KEY_UNKNOWN else _note(error)


def _note(error: OrchestratorError) -> Payload:
    """Shown instead of the payload: nobody should take a stranger's text for ours."""
    data = json.dumps({"refused": error.code.value, "why": error.message})
    return Payload(metadata={"encoding": b"json/plain"}, data=data.encode())
