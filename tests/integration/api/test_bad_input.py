"""Bad input on every route: a clear problem document, nothing above 499, nothing changed."""

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from api.middleware.admission import MAX_BODY_BYTES
from tests.support.api import Api, Headers, projection, release, running_api, served
from tests.unit.api.test_openapi import routes

TABLES = (
    "users", "credentials", "projects", "tasks", "events", "questions", "secrets", "servers",
    "port_allocations", "releases", "incidents", "chat_screens", "chat_updates", "memberships", "settings",
    "model_turns", "model_budget_raises", "cost_estimates", "platform_secrets", "project_checks", "proposed_checks",
    "agent_workers", "agent_worker_events", "server_credentials", "server_approvals",
)  # fmt: skip

HOSTILE_VALUES: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, 2**200, 1.5, "", " ", "x" * 30_000, "a\x00b", "\ud800", "../../etc/passwd",
    "'; DROP TABLE users; --", "{{7*7}}", "\u202eabc", "-rf", [], {}, [None], {"a": {"b": []}},
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
]  # fmt: skip
HOSTILE_SEGMENTS = [
    "%00",
    "a%00b",
    "..",
    "%2e%2e%2fx",
    "x" * 5000,
    "%F0%9F%92%A9",
    "%ff",
    "a b",
    "-",
    "'",
    "1;2",
    "%0a",
]


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def project_id(api: Api) -> str:
    return await api.new_project(api.admin, description="x")


async def contents(api: Api) -> dict[str, list[Any]]:
    return {table: [tuple(row) for row in await api.rows(f"SELECT * FROM {table} ORDER BY 1, 2")] for table in TABLES}


def valid_bodies(project_id: str) -> dict[str, dict[str, Any]]:
    """A body that each route would take, apart from what a test spoils."""
    work = {"request_id": "r", "project_id": project_id, "wish": "w", "title": "t", "max_rounds": 3}
    question = {"id": "q-1", "workflow_id": "w", "task_id": "t-1", "user_id": 1,
                "subject": {"kind": "project", "id": project_id},
                "kind": "approval", "text": "?", "created_at": "2026-01-01T00:00:00Z"}  # fmt: skip
    event = {"type": "progress", "request_id": "r", "message": "m", "timestamp": "2026-01-01T00:00:00Z"}
    return {
        "POST /users": {"user_id": 99, "role": "member", "name": "n"},
        "PATCH /users/{user_id}": {"role": "member", "name": "n"},
        "POST /users/{user_id}/remove": {"archive_projects": False},
        "POST /users/{user_id}/keys": {"name": "n", "ttl_s": 60, "keep_others": True},
        "POST /tokens": {"project_id": project_id, "commands": ["task.show"], "ttl_s": 60},
        "POST /projects": {"id": "p-new", "name": "fresh", "title": "t", "description": "d", "modules": ["backend"]},
        "PATCH /projects/{project_id}": {"title": "t", "description": "d", "archived": False},
        "PUT /projects/{project_id}/secrets/{name}": {"value": "v"},
        "PUT /settings/{name}": {"value": 5},
        "PUT /projects/{project_id}/settings/{name}": {"value": 5},
        "POST /engineering": work,
        "POST /deliveries": {**work, "require_approval": False},
        "POST /deploys": {"request_id": "r", "project_id": project_id, "action": "deploy", "commit": "a" * 40},
        "POST /questions/{question_id}/answer": {"answer_id": "a", "text": "t", "secrets": {"X": "v"}},
        "POST /servers": {"handle": "s-1", "public_ip": "10.0.0.1", "ram_mb": 1, "port_from": 1, "port_to": 2},
        "PATCH /servers/{handle}": {"status": "ready", "ram_mb": 1, "disk_mb": 1},
        "PUT /internal/servers": {"handle": "s-2", "public_ip": "10.0.0.2", "ram_mb": 1, "port_from": 1, "port_to": 2},
        "PUT /internal/projections": projection("t-1", project_id, seq=1, question=question, milestone=event),
        "POST /internal/events": {"task_id": "t-1", "events": [{"key": "k", "event": event}]},
        "POST /internal/projects/{project_id}/secrets/generate": {"names": ["X"]},
        "POST /internal/secrets/reveal": {"refs": ["secret://projects/p/X"]},
        "POST /internal/ports": {
            "project_id": project_id, "services": ["a"], "server_handle": "local", "avoid": [18000],
        },
        "POST /internal/artifacts/fates": {"items": ["a" * 64]},
        "PUT /internal/releases": {**release(project_id), "server_handle": "local", "url": "http://x", "error": "e"},
        "POST /internal/tokens": {"project_id": project_id, "commands": ["task.show"], "ttl_s": 60},
        "POST /projects/{project_id}/transfer": {"user_id": 424242},
        "PUT /internal/releases/{release_id}/health": {
            "seen_at": "2026-01-01T00:00:00Z",
            "services": {"a": {"state": "healthy", "since": "2026-01-01T00:00:00Z", "restarts": 1, "error": "e"}},
        },
        "PUT /whoami/language": {"language": "ru"},
        "PUT /chat/screens/{screen_id}": {
            "bot_id": 1, "chat_id": 2, "user_id": 3, "language": "en", "wish": "w", "project_id": project_id,
        },
        "PATCH /chat/screens/{screen_id}": {"message_id": 1, "project_id": project_id, "task_id": "t-1", "final": True},
        "PUT /chat/updates/{update_id}": {"subject": "q-1"},
        "POST /tasks/{task_id}/retry": {"advice": "a", "agent": "scripted", "model": "m", "skip": ["review"]},
        "PUT /platform-secrets/{name}": {"value": "v"},
        **bodies_of_workers(),
        **bodies_of_models(project_id),
        **bodies_of_checks(),
        **bodies_of_servers(),
    }  # fmt: skip


def bodies_of_workers() -> dict[str, dict[str, Any]]:
    """The agent worker that the first one makes is the one that the others are about."""
    event = {"type": "started", "worker_id": "w-1", "timestamp": "2026-01-01T00:00:00Z"}
    return {
        "PUT /internal/workers/{worker_id}": {
            "worker_id": "w-1", "seq": 1, "user_id": 1, "name": "n", "agent": "scripted", "state": "idle", "turns": 0,
            "run_id": "r", "current_request": "r", "session_id": "s", "commit": "a" * 40, "cost_usd": 1.5,
            "expires_at": "2026-01-01T00:00:00Z", "event": event,
        },
        "POST /workers": {"worker_id": "w-2", "name": "n", "agent": "scripted", "idle_expiry_s": 60},
        "POST /workers/{worker_id}/messages": {"request_id": "r", "message": "m", "timeout_s": 60},
        "POST /workers/{worker_id}/steer": {"request_id": "r", "message": "m"},
        "POST /workers/{worker_id}/files": {"request_id": "r", "path": "a", "content": "b"},
        "POST /workers/{worker_id}/stop": {"request_id": "r"},
        "POST /workers/{worker_id}/budget": {"request_id": "r", "add_usd": 1.5},
    }  # fmt: skip


def bodies_of_servers() -> dict[str, dict[str, Any]]:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII"
    ref = {"provider": "local", "server_handle": "nowhere", "machine_id": "m"}
    decision = {"approved": True, "plan_hash": "0" * 64}
    order = {"ref": ref, "kind": "reinstall", "order_id": "o", "approval_id": "a", "plan_hash": "0" * 64}
    asked = {"approval_id": "a-1", "act": "reinstall", "image": "i"}
    return {
        "PUT /servers/{handle}/management": {"managed": True},
        "PUT /servers/{handle}/host-key": {"host_key": key},
        "PUT /servers/{handle}/credentials/{name}": {"value": "v"},
        "POST /servers/{handle}/approvals": asked,
        "POST /servers/{handle}/approvals/{approval_id}/decision": decision,
        "POST /servers/{handle}/remove": {"approval_id": "a", "plan_hash": "0" * 64},
        "PUT /internal/servers/{handle}/credentials/{name}": {"value": "v"},
        "POST /internal/servers/{handle}/orders": {**order, "image": "i", "ssh_key": key, "price": "1", "after": None},
        "POST /internal/servers/{handle}/approvals": asked,
        "POST /internal/servers/{handle}/approvals/{approval_id}/decision": {
            **decision, "actor": {"user_id": 1, "role": "admin", "via": "cli"},
        },
        "PUT /internal/servers/{handle}/host-key": {"host_key": key},
        "PUT /internal/servers/{handle}/machine": {
            "ref": ref, "name": "n", "public_ip": "10.0.0.3", "is_active": True, "cpu_cores": 1, "ram_mb": 1,
            "disk_mb": 1, "image": "i", "price": "1", "busy_with": "b", "last_action_at": "2026-01-01T00:00:00Z",
            "can": ["reinstall"],
        },
    }  # fmt: skip


def bodies_of_models(project_id: str) -> dict[str, dict[str, Any]]:
    of_task = {"task_id": "t-1", "project_id": project_id, "agent": "codex"}
    return {
        "POST /internal/model-turns": {"worker_id": "w-1", "turn": 1, **of_task, "user_id": 1, "model": "m"},
        "POST /internal/model-budgets": {
            "request_id": "r", "scope": "task", "scope_id": "t-1", "add_usd": 1, "by": 1,
        },
        "POST /internal/cost-estimates": of_task,
    }  # fmt: skip


def bodies_of_checks() -> dict[str, dict[str, Any]]:
    criterion = {"id": "c-1", "sentence": "s", "words": "w"}
    step = {"kind": "http", "path": "/books", "json": {"title": "t"}, "expect": {"status": 200}}
    check = {"id": "k-2", "criterion_id": "c-1", "title": "t", "steps": [step]}
    return {
        "PUT /internal/projects/{project_id}/checks/proposed/{task_id}": {
            "written_from": "0" * 64, "criteria": [criterion], "retires": ["k-1"], "checks": [check],
            "not_checkable": {"c-2": "r"}, "needs_description": False,
        },
        "PUT /projects/{project_id}/memory": {"text": "t", "revision": None},
        "POST /internal/projects/{project_id}/memory/failures": {"key": "k", "what": "w", "evidence": "e"},
        "PUT /internal/projects/{project_id}/memory/published": {"task_id": "t-1", "commit": "a" * 40, "text": "t"},
        "POST /internal/projects/{project_id}/checks/proposed/{task_id}/keep": {"met": ["c-1"], "given_up": ["k-1"]},
    }  # fmt: skip


def spoiled(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Copies of `body`: one field at a time absent, hostile or unknown, also inside of nested documents."""
    yield {**body, "surprise": 1}
    yield {**body, "\ud800": 1}
    for name, value in body.items():
        yield {key: kept for key, kept in body.items() if key != name}
        for hostile in HOSTILE_VALUES:
            yield {**body, name: hostile}
        if isinstance(value, dict):
            yield from ({**body, name: inner} for inner in spoiled(value))


def keys_for(path: str, api: Api) -> Headers:
    if path.startswith("/chat"):
        return api.bot
    return api.platform if path.startswith("/internal") else api.admin


def filled(path: str, project_id: str, handle: str) -> str:
    """A path with an id in each place."""
    name = "max_rounds" if "/settings/" in path else "OPENAI_API_KEY" if path.startswith("/platform") else "NAME"
    names = {"name": name, "question_id": "q-x", "screen_id": "s-1", "update_id": "u-1", "user_id": "424242"}
    names |= {"task_id": "t-1", "worker_id": "w-1", "turn": "1", "agent": "codex", "approval_id": "a-1"}
    names |= {"provider": "time4vps"}
    return path.format(project_id=project_id, handle=handle, release_id="rel-x", **names)


BODILESS = {
    "POST /tasks/{task_id}/cancel", "POST /web-ui-tickets", "POST /internal/tidy",
    "POST /projects/{project_id}/secrets/{name}/show", "POST /internal/model-turns/{worker_id}/{turn}/end",
    "POST /agent-logins/{agent}/logout",
    "POST /servers/{handle}/reserve", "POST /servers/{handle}/release",
    "POST /internal/servers/{handle}/credentials/{name}/reveal", "POST /internal/providers/{provider}/login",
}  # fmt: skip
MAY_BE_LEFT_OUT = {"POST /users/{user_id}/keys"}


def operations(api: Api) -> Iterator[tuple[str, str]]:
    """Without those of Git, which sends no JSON."""
    for route in routes(api.app):
        if route.path.startswith("/git/"):
            continue
        for method in sorted(route.methods - {"HEAD"}):
            yield method, route.path


def assert_is_a_problem(reply: Any, what: object) -> None:
    assert reply.status_code < 500, (what, reply.text)
    if reply.status_code >= 400:
        assert reply.headers["content-type"] == "application/problem+json", (what, reply.text)
        problem = reply.json()
        assert problem["status"] == reply.status_code
        assert problem["code"]
        assert problem["detail"]
        assert problem["request_id"] == reply.headers["x-request-id"]
        assert "Traceback" not in reply.text


async def test_a_spoiled_body_is_never_a_server_error(api: Api, project_id: str) -> None:
    bodies = valid_bodies(project_id)
    wanted = {f"{m} {p}" for m, p in operations(api) if m in {"POST", "PUT", "PATCH"}}
    assert wanted == set(bodies) | BODILESS
    for operation, body in bodies.items():
        method, path = operation.split(" ")
        path = filled(path, project_id, "nowhere")
        for bad in spoiled(body):
            content = json.dumps(bad).encode()
            headers = {**keys_for(path, api), "Content-Type": "application/json"}
            reply = await api.http.request(method, path, content=content, headers=headers)
            assert_is_a_problem(reply, (operation, content[:300]))


async def test_a_refused_body_changes_nothing(api: Api, project_id: str) -> None:
    before = await contents(api)
    for operation, body in valid_bodies(project_id).items():
        method, path = operation.split(" ")
        path = filled(path, project_id, "local")
        for bad in ({**body, "surprise": 1}, [], "text", None, {**body, next(iter(body)): "a\x00b"}):
            if bad is None and operation in MAY_BE_LEFT_OUT:
                continue
            reply = await api.http.request(method, path, json=bad, headers=keys_for(path, api))
            assert reply.status_code == 422, (operation, bad, reply.text)
            assert_is_a_problem(reply, operation)
    assert await contents(api) == before


async def test_what_is_no_json_is_refused_clearly(api: Api, project_id: str) -> None:
    raw = [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"a":1}trailing',
        b"[" * 100_000,
        b'{"value": ' + b"9" * 5000 + b"}",
        b'"\x00"',
        b"NaN",
    ]
    for (method, path), content in itertools.product(operations(api), raw):
        operation = f"{method} {path}"
        if method not in {"POST", "PUT", "PATCH"} or operation in BODILESS:
            continue
        if not content and operation in MAY_BE_LEFT_OUT:
            continue
        url = filled(path, project_id, "local")
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            headers = {**keys_for(path, api), "Content-Type": kind}
            reply = await api.http.request(method, url, content=content, headers=headers)
            assert reply.status_code == 422, (method, path, content[:20], reply.text)
            assert_is_a_problem(reply, path)


async def test_hostile_segments_of_a_path_are_refused(api: Api) -> None:
    before = await contents(api)
    plain = {path for _, path in operations(api) if "{" not in path}
    for method, path in operations(api):
        if "{" not in path:
            continue
        for segment in HOSTILE_SEGMENTS:
            url = path
            while "{" in url:
                start, end = url.index("{"), url.index("}")
                url = url[:start] + segment + url[end + 1 :]
            reply = await api.http.request(method, url, headers=keys_for(path, api))
            # The client resolves ".." itself, so that it may ask another route.
            is_another = method == "GET" and reply.url.path in plain
            assert is_another or reply.status_code in {307, 404, 405, 422}, (method, url, reply.text)
            assert_is_a_problem(reply, url)
    assert await contents(api) == before


@pytest.mark.parametrize("value", ["-1", "x", "9" * 30, "%00", "", "1.5", "true"])
async def test_hostile_queries_and_headers_are_refused(api: Api, value: str) -> None:
    task_id = await api.new_task(await api.new_project(api.admin))
    urls = [
        f"/tasks?limit={value}",
        f"/tasks/{task_id}/events?after={value}",
        f"/artifacts/{'0' * 64}/x?offset={value}",
    ]
    for url in [
        *urls,
        "/tasks?state=%00",
        "/tasks?project_id=%00",
        "/questions?state=x",
        "/allocations?project_id=%27",
    ]:
        reply = await api.http.get(url, headers=api.admin)
        assert reply.status_code in {404, 422}, (url, reply.text)
        assert_is_a_problem(reply, url)
    headers = {**api.admin, "Last-Event-ID": f"{task_id}:{'9' * 30}", "X-Orchestrator-Via": value or "x"}
    assert (await api.http.get(f"/tasks/{task_id}/stream", headers=headers)).status_code == 422


async def test_a_value_that_was_refused_is_not_repeated(api: Api, project_id: str) -> None:
    secret = f"hunter2-{uuid4().hex}"
    for body in (
        {"value": [secret]},
        {"value": secret, "x": secret},
        {"value": {"a": secret}},
        {"value": f"{secret}\x00"},
    ):
        reply = await api.http.put(f"/projects/{project_id}/secrets/NAME", json=body, headers=api.admin)
        assert reply.status_code == 422
        assert secret not in reply.text


async def test_a_large_body_is_refused_whether_or_not_it_says_its_length(api: Api) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 50_000

    for content in (b" " * (MAX_BODY_BYTES + 1), chunks()):
        reply = await api.http.post("/projects", content=content, headers=api.admin)
        assert (reply.status_code, reply.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert_is_a_problem(reply, "large")


async def test_unknown_routes_and_methods_are_problems_too(api: Api) -> None:
    assert (await api.http.get("/nowhere")).json()["code"] == "NOT_FOUND"
    reply = await api.http.delete("/projects", headers=api.admin)
    assert (reply.status_code, reply.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert_is_a_problem(reply, "method")


async def test_a_valid_request_id_comes_back_and_a_bad_one_is_replaced(api: Api) -> None:
    assert (await api.http.get("/health", headers={"X-Request-ID": "abc-1"})).headers["x-request-id"] == "abc-1"
    for bad in ("a b", "x" * 200, "<script>", ""):
        assert (await api.http.get("/health", headers={"X-Request-ID": bad})).headers["x-request-id"] not in {bad, ""}


async def test_an_unexpected_error_is_a_problem_with_the_request_id_and_no_trace(api: Api) -> None:
    api.gateway.refusal = RuntimeError("secret detail")  # type: ignore[assignment]  # on purpose no domain error
    project_id = await api.new_project(api.admin)
    body = {"request_id": uuid4().hex, "project_id": project_id, "wish": "w"}
    reply = await api.http.post("/engineering", json=body, headers={**api.admin, "X-Request-ID": "trace-me"})
    api.gateway.refusal = None
    assert reply.status_code == 500
    assert reply.json()["code"] == "INTERNAL"
    assert reply.json()["request_id"] == "trace-me"
    assert "secret detail" not in reply.text


async def test_a_large_body_is_refused_clearly_on_a_real_connection(api: Api) -> None:
    async with served(api.app) as url, httpx.AsyncClient(base_url=url, headers=api.admin) as client:
        for size in (MAX_BODY_BYTES + 1, 20 * MAX_BODY_BYTES):
            reply = await client.post("/projects", content=b" " * size)
            assert (reply.status_code, reply.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert (await client.get("/projects")).status_code == 200
