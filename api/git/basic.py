"""Lets Git sign in: it knows passwords, and asks for one when the answer says so."""

import base64
import binascii

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.settings import GIT_PATH

_CHALLENGE = 'Basic realm="codegen orchestrator: any user name, and your API key as the password", charset="UTF-8"'


class GitSignIn:
    """Below `/git/`, a Basic password is the key that all other routes take as a bearer token."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(f"{GIT_PATH}/"):
            await self._app(scope, receive, send)
            return

        async def send_with_challenge(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                MutableHeaders(scope=message)["WWW-Authenticate"] = _CHALLENGE
            await send(message)

        headers = [(name, _as_bearer(value) if name == b"authorization" else value) for name, value in scope["headers"]]
        await self._app({**scope, "headers": headers}, receive, send_with_challenge)


def _as_bearer(value: bytes) -> bytes:
    scheme, _, encoded = value.partition(b" ")
    if scheme.lower() != b"basic":
        return value
    try:
        user, _, password = base64.b64decode(encoded, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return value
    # Some programs send a token as the name of the user, without a password.
    return b"Bearer " + (password or user)
