"""What passes between agents and vendors: which headers, and how a reply is written."""

from collections.abc import AsyncIterator, Iterable

from starlette.datastructures import Headers
from starlette.types import Scope, Send

from contracts.redaction import redacted

_MAX_QUERY = 500
_PIECE = 262_144
_UP = frozenset(
    {
        "accept", "content-type", "user-agent", "anthropic-version", "anthropic-beta", "openai-beta", "originator",
        "session_id", "session-id", "conversation_id", "conversation-id", "version", "x-app", "idempotency-key",
    }
)  # fmt: skip
_UP_BEGINNINGS = ("x-stainless-",)
_NOT_DOWN = frozenset(
    {
        # of one connection
        "connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer", "transfer-encoding",
        "upgrade", "alt-svc", "date", "server",
        # of the account
        "set-cookie", "anthropic-organization-id", "openai-organization", "openai-project",
    }
)  # fmt: skip


def token(headers: Headers) -> str:
    """What the client shows; empty without anything."""
    given = headers.get("x-api-key", "").strip()
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return given or (bearer.strip() if scheme.lower() == "bearer" else "")


def upward(headers: Headers, account: str, key: str) -> list[tuple[str, str]]:
    """The headers for the vendor: those that describe the request, and the real key. No credential of the client."""
    passed = [(name, value) for name, value in headers.items() if name in _UP or name.startswith(_UP_BEGINNINGS)]
    credential = ("x-api-key", key) if account == "anthropic" else ("authorization", f"Bearer {key}")
    # Not compressed, so that what passes can be read along.
    return [*passed, credential, ("accept-encoding", "identity")]


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    """The body in parts: sent whole, it would be copied to a connection that takes it slowly."""
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


def query(scope: Scope) -> str:
    """The query as it came, such as `?beta=true`."""
    raw = scope.get("query_string", b"")[:_MAX_QUERY].decode("ascii", "ignore")
    return f"?{raw}" if raw else ""


def downward(headers: Iterable[tuple[bytes, bytes]], key: str) -> list[tuple[bytes, bytes]]:
    """The headers for the agent: those of the answer, without those of one connection or about the account."""
    lowered = [(name.lower(), value) for name, value in headers]
    return [
        (name, value)
        for name, value in lowered
        if name.decode("latin-1") not in _NOT_DOWN and key.encode() not in value
    ]


def without_key(body: bytes, key: str) -> bytes:
    """A refusal as it came, unless it repeats the key."""
    text = body.decode("utf-8", "surrogateescape")
    return redacted(text, [key]).encode("utf-8", "surrogateescape")


async def reply(send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """A whole reply of our own."""
    described = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*described, *headers]})
    await send({"type": "http.response.body", "body": body})
