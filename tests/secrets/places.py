"""Where a secret could leak to on the platform's own machine: files, databases, histories, repositories, replies."""

import asyncio
import base64
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from runtime.temporal.codec import ENCODING
from tests.secrets.scan import Scan

_LARGEST = 128 * 1024 * 1024
_OVERLAP = 8 * 1024
_STREAM_S = 3.0

Stamp = tuple[int, int, int]
"""Inode, time of the last change, size."""


def look_at_files(scan: Scan, kind: str, root: Path, *, seen: dict[Path, Stamp] | None = None) -> None:
    """Every file below `root` with its path, links by their target. With `seen`, only what is new since."""
    known = {} if seen is None else seen
    for path in _files(root):
        try:
            status = path.lstat()
            stamp, before = (status.st_ino, status.st_mtime_ns, status.st_size), known.get(path)
            if before == stamp:
                continue
            known[path] = stamp
            # A log only grows: what was read of it before is not read again.
            grown = before is not None and before[0] == stamp[0] and before[2] <= stamp[2]
            content = _content(path, status.st_mode, max(0, before[2] - _OVERLAP) if before and grown else 0)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # gone between the listing and the look
        if content is not None:
            scan.look(kind, str(path.relative_to(root)), content, status.st_mode)
            scan.look("names of files", kind, str(path.relative_to(root)))


def _files(root: Path) -> Iterator[Path]:
    """Also while others write and remove: what has gone meanwhile is left out."""
    for directory, folders, files in os.walk(root):
        yield from (Path(directory, name) for name in (*files, *folders))


def _content(path: Path, mode: int, start: int) -> bytes | None:
    if stat.S_ISLNK(mode):
        return str(path.readlink()).encode()
    if not stat.S_ISREG(mode):
        return None
    with path.open("rb") as file:
        file.seek(start)
        return file.read(_LARGEST)


def look_at_sqlite(scan: Scan, kind: str, file: Path) -> None:
    """Every value of every table; the file and its log are looked at as files too."""
    database = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)
    try:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    scan.look(kind, table, value if isinstance(value, bytes) else str(value))
    finally:
        database.close()


async def look_at_postgres(scan: Scan, kind: str, url: str) -> None:
    """Every row of every table of every schema, as text and, for binary columns, as bytes; statements that run."""
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    try:
        relations = await connection.fetch(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname <> 'information_schema'"
            " OR c.relname IN ('pg_stat_activity', 'pg_prepared_statements', 'pg_settings')"
        )
        for schema, table in relations:
            rows = await connection.fetch(f'SELECT t::text AS row FROM "{schema}"."{table}" t')
            scan.look(kind, f"{schema}.{table}", "\n".join(row["row"] for row in rows))
        columns = await connection.fetch(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE data_type = 'bytea'"
            " AND table_schema NOT IN ('pg_catalog', 'information_schema')"
        )
        for schema, table, column in columns:
            for row in await connection.fetch(f'SELECT "{column}" AS value FROM "{schema}"."{table}"'):
                scan.look(kind, f"{schema}.{table}.{column}", row["value"] or b"")
    finally:
        await connection.close()


async def look_at_temporal(scan: Scan, client: Client) -> int:
    """Of every workflow: its history as it is stored, and everything in it decrypted; memo, search attributes and
    what is pending. Returns how many payloads were decrypted."""
    decoded = 0
    async for workflow in client.list_workflows():
        handle = client.get_workflow_handle(workflow.id, run_id=workflow.run_id)
        history = await handle.fetch_history()
        messages: list[Message] = [(await handle.describe()).raw_description, *history.events]
        for message in messages:
            scan.look("temporal, as stored", workflow.id, message.SerializeToString())
        for payload in [payload for message in messages for payload in _payloads(message)]:
            for plain in await _decoded(client, payload):
                scan.look("temporal, decrypted", workflow.id, plain.SerializeToString())
                decoded += 1
    return decoded


async def _decoded(client: Client, payload: Payload) -> list[Payload]:
    codec = client.data_converter.payload_codec
    assert codec is not None, "a client without the codec would look at ciphertext only"
    # The codec would put a mark in place of what is not encrypted, and here just that is looked for.
    return await codec.decode([payload]) if payload.metadata.get("encoding") == ENCODING else [payload]


def _payloads(message: Message) -> Iterator[Payload]:
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            inside = [one for one in value.values() if isinstance(one, Message)]
        elif field.is_repeated:
            inside = list(value)
        else:
            inside = [value]
        for one in inside:
            yield from _payloads(one)


async def look_at_repositories(scan: Scan, kind: str, forge: Path) -> int:
    """Every object of every bare repository, also those that nothing points to. Returns how many repositories."""
    repositories = [path.parent for path in forge.rglob("HEAD") if (path.parent / "objects").is_dir()]
    for repository in repositories:
        process = await asyncio.create_subprocess_exec(
            "git", "-c", "safe.directory=*", f"--git-dir={repository}",
            "cat-file", "--batch-all-objects", "--batch", "--unordered",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        objects, _ = await process.communicate()
        assert process.returncode == 0
        scan.look(kind, str(repository.relative_to(forge)), objects)
    return len(repositories)


async def look_at_api(scan: Scan, http: httpx.AsyncClient) -> set[str]:
    """Every reading route of the API with every id that its lists know. Returns the routes that answered with 200."""
    routes = [path for path, methods in (await http.get("/openapi.json")).json()["paths"].items() if "get" in methods]
    answered = set()
    async for route, path in _asked(http, routes):
        content = await _read(http, path)
        if content is not None:
            answered.add(route)
            scan.look("api", route, content)
    return answered


async def _asked(http: httpx.AsyncClient, routes: list[str]) -> AsyncIterator[tuple[str, str]]:
    known: dict[str, Any] = {
        noun: (await http.get(f"/{noun}")).json()["items"] for noun in ("projects", "tasks", "questions", "servers")
    }
    releases = [
        release
        for project in known["projects"]
        for release in (await http.get(f"/projects/{project['id']}/releases")).json()["items"]
    ]
    ids = {
        "project_id": [one["id"] for one in known["projects"]],
        "task_id": [one["id"] for one in known["tasks"]],
        "question_id": [one["id"] for one in known["questions"]],
        "release_id": [one["id"] for one in releases],
        "handle": [one["handle"] for one in known["servers"]],
    }
    for route in [*routes, "/metrics"]:
        names = [part.partition("}")[0] for part in route.split("{")[1:]]
        if not names:
            yield route, f"{route}?limit=200" if route in {"/tasks", "/questions"} else route
        elif len(names) == 1 and names[0] in ids:
            for value in ids[names[0]]:
                yield route, route.replace(f"{{{names[0]}}}", value)


async def _read(http: httpx.AsyncClient, path: str) -> bytes | None:
    """The body; of a stream what comes immediately."""
    content = b""
    try:
        async with asyncio.timeout(_STREAM_S), http.stream("GET", path) as reply:
            if reply.status_code != 200:
                return None
            content = repr(reply.headers.multi_items()).encode()
            async for chunk in reply.aiter_bytes():
                content += chunk
    except TimeoutError:
        pass
    return content


async def look_at_web_ui(scan: Scan, http: httpx.AsyncClient, login: str, workflow_ids: list[str]) -> int:
    """What a browser that is logged in gets: histories through the Web UI's own routes, decrypted by the codec.

    Returns how many payloads were decrypted. `http` has no key: the link logs it in.
    """
    link = httpx.URL(login)
    form = {"ticket": link.params["ticket"]}
    page = await http.post(link.copy_with(query=None), data=form, follow_redirects=True)
    scan.look("web ui", "page", page.content)
    origin, decoded = str(page.url.copy_with(raw_path=b"/")).rstrip("/"), 0
    for workflow in workflow_ids:
        escaped = workflow.replace("/", "%2F")
        reply = await http.get(f"/temporal/api/v1/namespaces/default/workflows/{escaped}/history?maximumPageSize=1000")
        assert reply.status_code == 200, reply.text
        scan.look("web ui", workflow, reply.content)
        body = {"payloads": list(_json_payloads(reply.json()))}
        decrypted = await http.post("/codec/decode", json=body, headers={"Origin": origin})
        assert decrypted.status_code == 200, decrypted.text
        for payload in decrypted.json()["payloads"]:
            scan.look("web ui, decrypted", workflow, base64.b64decode(payload.get("data", "")))
            decoded += 1
    return decoded


def _json_payloads(document: object) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        if isinstance(document.get("metadata"), dict) and "data" in document:
            yield document
        else:
            for value in document.values():
                yield from _json_payloads(value)
    elif isinstance(document, list):
        for value in document:
            yield from _json_payloads(value)
