"""An object store with the interface of S3, as far as a repository of backups needs it: one bucket, one access key.

It checks who asks (the key's name in the signature, not the signature itself), keeps objects in memory, and refuses
what it does not know.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from xml.sax.saxutils import escape

from aiohttp import web

_SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_STREAMED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


@dataclass
class ObjectStore:
    """`objects` by their keys. `url` is where the bucket is."""

    access_key: str
    bucket: str = "backups"
    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if f"Credential={self.access_key}/" not in request.headers.get("Authorization", ""):
            return _error(403, "InvalidAccessKeyId")
        bucket, _, key = request.path.lstrip("/").partition("/")
        if bucket != self.bucket:
            return _error(404, "NoSuchBucket")
        return await self._object(request, key) if key else self._of_bucket(request)

    def _of_bucket(self, request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response()
        if request.method == "GET" and "location" in request.query:
            return _xml(f'<LocationConstraint xmlns="{_SPACE}"/>')
        if request.method == "GET" and request.query.get("list-type") == "2":
            prefix, mark = request.query.get("prefix", ""), request.query.get("delimiter", "")
            assert mark in {"", "/"}
            return _xml(self._listed(prefix, mark))
        return _error(501, "NotImplemented")

    def _listed(self, prefix: str, mark: str) -> str:
        found = sorted(key for key in self.objects if key.startswith(prefix))
        folders = {
            f"{prefix}{key[len(prefix) :].split(mark)[0]}{mark}" for key in found if mark and mark in key[len(prefix) :]
        }
        keys = [key for key in found if not (mark and mark in key[len(prefix) :])]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[key])}</Size>"
            f"<ETag>{_etag(self.objects[key])}</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in keys
        )
        rows += "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders))
        return (
            f'<ListBucketResult xmlns="{_SPACE}"><Name>{self.bucket}</Name><Prefix>{escape(prefix)}</Prefix>'
            f"<KeyCount>{len(keys) + len(folders)}</KeyCount><MaxKeys>100000</MaxKeys><IsTruncated>false</IsTruncated>"
            f"{rows}</ListBucketResult>"
        )

    async def _object(self, request: web.Request, key: str) -> web.StreamResponse:
        if request.method == "PUT" and not request.query:
            body = await request.read()
            streamed = request.headers.get("x-amz-content-sha256") == _STREAMED
            self.objects[key] = _without_signatures(body) if streamed else body
            return web.Response(headers={"ETag": _etag(self.objects[key])})
        if request.method == "DELETE":
            self.objects.pop(key, None)
            return web.Response(status=204)
        if request.method not in {"GET", "HEAD"}:
            return _error(501, "NotImplemented")
        if key not in self.objects:
            return _error(404, "NoSuchKey")
        content = self.objects[key]
        facts = {"ETag": _etag(content), "Last-Modified": formatdate(usegmt=True), "Accept-Ranges": "bytes"}
        if request.method == "HEAD":
            return web.Response(headers={**facts, "Content-Length": str(len(content))})
        part = request.http_range
        if part.start is None and part.stop is None:
            return web.Response(body=content, headers=facts)
        start, stop, _ = part.indices(len(content))
        facts["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return web.Response(status=206, body=content[start:stop], headers=facts)


@asynccontextmanager
async def object_store(access_key: str) -> AsyncIterator[ObjectStore]:
    """On a free port of this machine, without TLS."""
    store = ObjectStore(access_key)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", store.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        _, port = runner.addresses[0][:2]
        store.url = f"s3:http://127.0.0.1:{port}/{store.bucket}"
        yield store
    finally:
        await runner.cleanup()


def _without_signatures(body: bytes) -> bytes:
    """The content of chunks `size;chunk-signature=…`, each followed by a line break."""
    content = bytearray()
    while body:
        head, _, rest = body.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        content += rest[:size]
        body = rest[size + 2 :]
    return bytes(content)


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _xml(text: str) -> web.Response:
    return web.Response(body=f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode(), content_type="application/xml")


def _error(status: int, code: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return web.Response(status=status, body=text.encode(), content_type="application/xml")
