"""Temporal's remote codec protocol, decoding only: it lets the Web UI show what is stored encrypted.

There is no `/codec/encode`: through the Web UI nothing is started or signalled with data.
"""

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
from runtime.temporal.codec import EncryptionCodec

log = structlog.get_logger(__name__)


async def decode(request: Request) -> Response:
    """The payloads of the body, decrypted. A payload whose key this installation does not have stays as it is.

    Refuses a page of another address (403 NOT_ALLOWED), a browser that is not logged in (401), a person who is not an
    admin (403) and a body that is not a list of payloads (422).
    """
    require_own_page(request, await require_viewer(request))
    payloads = _parsed(await request.body())
    codec = EncryptionCodec(KeyRing.load(web_ui_of(request).settings.codec_key_file))
    decoded = Payloads(payloads=[await _decoded(codec, payload) for payload in payloads])
    text = await run_in_threadpool(json_format.MessageToJson, decoded, indent=None)
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})


def _parsed(body: bytes) -> list[Payload]:
    try:
        return list(json_format.Parse(body, Payloads(), ignore_unknown_fields=True).payloads)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError):
        raise permanent(ErrorCode.INVALID_INPUT, 'Send {"payloads": [...]} as Temporal writes them.') from None


async def _decoded(codec: EncryptionCodec, payload: Payload) -> Payload:
    try:
        return (await codec.decode([payload]))[0]
    except OrchestratorError as error:
        # One unreadable value must not hide the others of its page.
        log.warning("a payload cannot be decrypted", code=error.code.value, **error.details)
        return payload
