"""The readable Web UI: who may log in, and what a codec decodes for whom."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from google.protobuf import json_format
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import WorkflowSerializationContext

from api.app import create_app
from api.web_ui.codec import MAX_PAYLOADS
from api.web_ui.routes import HOME
from api.web_ui.sessions import SESSION_TTL, TICKET_TTL
from runtime import keyring
from runtime.keyring import KeyRing
from runtime.temporal.codec import EncryptionCodec
from tests.support.api import Api, Headers, running_api

TEXT = "Developer: one turn of the agent"


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def origin(api: Api) -> Headers:
    return {"Origin": api.settings.site_url}


async def sealed(api: Api) -> str:
    """One payload as the Temporal server has it, in the body that the Web UI sends."""
    codec = EncryptionCodec(KeyRing.load(api.settings.codec_key_file))
    clear = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(TEXT).encode())
    return json_format.MessageToJson(Payloads(payloads=await codec.encode([clear])))


async def ticket(api: Api) -> str:
    reply = await api.http.post("/web-ui-tickets", headers=api.admin)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["url"]).removeprefix(f"{api.settings.site_url}/ui-login?ticket=")


async def pressed(api: Api, ticket: str, **form: str) -> httpx.Response:
    """What the button of a link's page sends."""
    reply = await api.http.post("/ui-login", data={"ticket": ticket, **form})
    api.http.cookies.clear()
    return reply


async def logged_in(api: Api) -> Headers:
    """The cookie of a browser that has opened a link."""
    reply = await pressed(api, await ticket(api))
    assert reply.status_code == 303, reply.text
    return {"Cookie": reply.headers["set-cookie"].split(";")[0]}


def assert_refused(reply: httpx.Response, status: int, code: str) -> None:
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert TEXT not in reply.text


async def test_a_browser_that_is_logged_in_reads_the_payloads(api: Api, origin: Headers) -> None:
    cookie = await logged_in(api)
    for key_of in ("today", "before a rotation"):
        body = await sealed(api)
        if key_of != "today":
            keyring.rotate(api.settings.codec_key_file)
        reply = await api.http.post("/codec/decode", content=body, headers=origin | cookie)
        assert reply.status_code == 200, reply.text
        assert reply.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in reply.headers
        assert json.loads(base64.b64decode(reply.json()["payloads"][0]["data"])) == TEXT


async def test_without_the_cookie_nothing_is_decoded(api: Api, origin: Headers) -> None:
    cookie = await logged_in(api)
    name, _, value = cookie["Cookie"].partition("=")
    for forged in ("", f"{name}=", f"{name}=x", f"{name}=9999999999.{value.partition('.')[2]}", f"{name}=é.é"):
        headers = origin | ({"Cookie": forged} if forged else {})
        encoded = httpx.Headers(headers, encoding="latin-1")
        assert_refused(
            await api.http.post("/codec/decode", content=await sealed(api), headers=encoded), 401, "NOT_AUTHENTICATED"
        )


async def test_a_key_of_the_api_is_no_login_for_the_codec(api: Api, origin: Headers) -> None:
    reply = await api.http.post("/codec/decode", content=await sealed(api), headers=origin | api.admin)
    assert_refused(reply, 401, "NOT_AUTHENTICATED")


@pytest.mark.parametrize("other", ["http://127.0.0.1:18000", "https://evil.test", "null", ""])
async def test_the_page_of_another_origin_gets_nothing_although_the_browser_is_logged_in(api: Api, other: str) -> None:
    headers = await logged_in(api) | ({"Origin": other} if other else {})
    assert_refused(await api.http.post("/codec/decode", content=await sealed(api), headers=headers), 403, "NOT_ALLOWED")
    asked = await api.http.options("/codec/decode", headers=headers | {"Access-Control-Request-Method": "POST"})
    assert "access-control-allow-origin" not in asked.headers


@pytest.mark.parametrize("body", ["", "{}x", '{"payloads": 3}', '{"payloads": [{"data": 7}]}', "\udcff", "[" * 9999])
async def test_what_is_no_list_of_payloads_is_refused(api: Api, origin: Headers, body: str) -> None:
    content = body.encode("utf-8", "surrogateescape")
    reply = await api.http.post("/codec/decode", content=content, headers=origin | await logged_in(api))
    assert_refused(reply, 422, "INVALID_INPUT")


async def test_one_payload_without_a_key_stays_sealed_and_hides_no_other(api: Api, origin: Headers) -> None:
    payloads = json_format.Parse(await sealed(api), Payloads())
    foreign = payloads.payloads.add()
    foreign.CopyFrom(payloads.payloads[0])
    foreign.metadata["encryption-key-id"] = b"key-of-somebody-else"
    body = json_format.MessageToJson(payloads)
    reply = await api.http.post("/codec/decode", content=body, headers=origin | await logged_in(api))
    decoded = json_format.Parse(reply.content, Payloads()).payloads
    assert json.loads(decoded[0].data) == TEXT
    assert decoded[1] == foreign


@pytest.mark.parametrize(
    "forged",
    [
        {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "InRydXN0IG1lIg=="},
        {"data": "InRydXN0IG1lIg=="},
    ],
    ids=["plain", "of no encoding"],
)
async def test_a_text_that_is_not_ours_is_not_shown_as_ours(api: Api, origin: Headers, forged: dict[str, Any]) -> None:
    payloads = json.loads(await sealed(api))["payloads"]
    body = json.dumps({"payloads": [forged, *payloads]})
    reply = await api.http.post("/codec/decode", content=body, headers=origin | await logged_in(api))
    first, second = json_format.Parse(reply.content, Payloads()).payloads
    assert b"trust me" not in first.data
    assert json.loads(second.data) == TEXT


async def test_a_search_attribute_stays_readable(api: Api, origin: Headers) -> None:
    attribute = {"metadata": {"encoding": "anNvbi9wbGFpbg==", "type": "S2V5d29yZA=="}, "data": "ImRlcGxveWluZyI="}
    body = json.dumps({"payloads": [attribute]})
    reply = await api.http.post("/codec/decode", content=body, headers=origin | await logged_in(api))
    assert reply.json()["payloads"] == [attribute]


async def test_the_payloads_of_every_workflow_are_shown(api: Api, origin: Headers) -> None:
    codec = EncryptionCodec(KeyRing.load(api.settings.codec_key_file))
    context = WorkflowSerializationContext(namespace="default", workflow_id="deploy/some-project")
    clear = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(TEXT).encode())
    body = json_format.MessageToJson(Payloads(payloads=await codec.with_context(context).encode([clear])))
    reply = await api.http.post("/codec/decode", content=body, headers=origin | await logged_in(api))
    assert json.loads(base64.b64decode(reply.json()["payloads"][0]["data"])) == TEXT


@pytest.mark.parametrize("count", [MAX_PAYLOADS, MAX_PAYLOADS + 1])
async def test_more_payloads_than_a_page_has_are_refused(api: Api, origin: Headers, count: int) -> None:
    body = json.dumps({"payloads": [{}] * count})
    reply = await api.http.post("/codec/decode", content=body, headers=origin | await logged_in(api))
    if count > MAX_PAYLOADS:
        assert_refused(reply, 413, "PAYLOAD_TOO_LARGE")
    else:
        assert len(reply.json()["payloads"]) == count


async def test_a_payload_that_is_too_large_to_be_ours_is_not_decrypted(api: Api, origin: Headers) -> None:
    codec = EncryptionCodec(KeyRing.load(api.settings.codec_key_file))
    large = await codec.encode([Payload(metadata={"encoding": b"json/plain"}, data=b'"' + b"x" * 300_000 + b'"')])
    body = json_format.MessageToJson(Payloads(payloads=large))
    reply = await api.http.post("/codec/decode", content=body, headers=origin | await logged_in(api))
    assert json.loads(base64.b64decode(reply.json()["payloads"][0]["data"]))["refused"] == "PAYLOAD_TOO_LARGE"


async def test_other_requests_are_answered_while_a_large_page_is_decoded(api: Api, origin: Headers) -> None:
    """Eight megabytes were parsed in the event loop, where they held up everybody."""
    codec = EncryptionCodec(KeyRing.load(api.settings.codec_key_file))
    clear = Payload(metadata={"encoding": b"json/plain"}, data=b'"' + b"x" * 1_000 + b'"')
    body = json_format.MessageToJson(Payloads(payloads=await codec.encode([clear] * 3_000)))
    headers = origin | await logged_in(api)
    decoding = asyncio.create_task(api.http.post("/codec/decode", content=body, headers=headers))
    ticks = 0
    while not decoding.done():
        await asyncio.sleep(0.001)
        ticks += 1
    assert (await decoding).status_code == 200
    assert ticks > 5, "the event loop stood still"


async def test_nothing_is_encoded(api: Api, origin: Headers) -> None:
    reply = await api.http.post("/codec/encode", content="{}", headers=origin | await logged_in(api))
    assert_refused(reply, 404, "NOT_FOUND")


async def test_a_link_works_once(api: Api) -> None:
    link = await ticket(api)
    first = await pressed(api, link)
    assert first.status_code == 303
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(first.headers["set-cookie"].split("; "))
    second = await pressed(api, link)
    assert_refused(second, 401, "NOT_AUTHENTICATED")
    assert "set-cookie" not in second.headers
    assert "orchestrator web-ui" in second.json()["detail"]


async def test_a_link_leads_only_into_the_web_ui(api: Api) -> None:
    for wanted, target in (
        ("/temporal/namespaces/default/workflows/deploy/p-1", "/temporal/namespaces/default/workflows/deploy/p-1"),
        ("/namespaces/default/workflows/deploy/p-1", "/temporal/namespaces/default/workflows/deploy/p-1"),
        ("/projects", "/temporal/namespaces/default/workflows"),
        ("https://evil.test", "/temporal/namespaces/default/workflows"),
        ("//evil.test", "/temporal/namespaces/default/workflows"),
    ):
        reply = await pressed(api, await ticket(api), next=wanted)
        assert reply.headers["location"] == target


async def test_only_an_admin_gets_a_link(api: Api) -> None:
    _, member = await api.new_user()
    assert_refused(await api.http.post("/web-ui-tickets", headers=member), 403, "NOT_ALLOWED")
    assert_refused(await api.http.post("/web-ui-tickets", headers=api.platform), 403, "NOT_ALLOWED")
    assert_refused(await api.http.post("/web-ui-tickets"), 401, "NOT_AUTHENTICATED")


async def test_links_and_sessions_end_with_their_time_and_sessions_outlive_a_restart(api: Api, origin: Headers) -> None:
    late, cookie = await ticket(api), await logged_in(api)
    rows = await api.rows("SELECT kind, expires_at - created_at AS lasts FROM credentials WHERE kind <> 'key'")
    assert {row["kind"]: row["lasts"] for row in rows} == {"ticket": TICKET_TTL, "session": SESSION_TTL}
    restarted = create_app(api.settings, database_url=api.database_url, gateway=api.gateway)
    async with (
        restarted.router.lifespan_context(restarted),
        httpx.AsyncClient(transport=httpx.ASGITransport(restarted), base_url="http://127.0.0.1") as http,
    ):
        assert (await http.post("/codec/decode", content="{}", headers=origin | cookie)).status_code == 200
    await api.rows("UPDATE credentials SET expires_at = now() WHERE kind <> 'key'")
    assert_refused(await pressed(api, late), 401, "NOT_AUTHENTICATED")
    reply = await api.http.post("/codec/decode", content="{}", headers=origin | cookie)
    assert_refused(reply, 401, "NOT_AUTHENTICATED")


@pytest.mark.parametrize("method", ["HEAD", "GET", "OPTIONS"])
async def test_a_program_that_opens_a_link_uses_nothing_up_and_gets_no_cookie(api: Api, method: str) -> None:
    link = await ticket(api)
    for _ in range(3):
        reply = await api.http.request(method, f"/ui-login?ticket={link}", headers={"Accept": "text/html"})
        assert "set-cookie" not in reply.headers
        assert reply.status_code in {200, 405}
    assert (await pressed(api, link)).status_code == 303


async def test_the_page_of_a_link_has_a_button_and_runs_nothing(api: Api) -> None:
    page = await api.http.get(f"/ui-login?ticket={await ticket(api)}&next=%22%3E%3Cb%3E")
    assert 'method="post" action="/ui-login"' in page.text
    assert "<b>" not in page.text
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script" not in policy


@pytest.mark.parametrize(
    "foreign", [{"Origin": "https://evil.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_the_form_of_another_site_logs_nobody_in(api: Api, foreign: Headers) -> None:
    link = await ticket(api)
    reply = await api.http.post("/ui-login", data={"ticket": link}, headers=foreign)
    assert_refused(reply, 403, "NOT_ALLOWED")
    own = {"Origin": api.settings.site_url, "Sec-Fetch-Site": "same-origin"}
    assert (await api.http.post("/ui-login", data={"ticket": link}, headers=own)).status_code == 303
    api.http.cookies.clear()


async def test_of_two_who_use_a_link_at_once_one_gets_in(api: Api) -> None:
    link = await ticket(api)
    codes = [reply.status_code for reply in await asyncio.gather(*(pressed(api, link) for _ in range(5)))]
    assert sorted(codes) == [303, 401, 401, 401, 401]


async def test_the_login_of_a_user_who_is_no_longer_an_admin_ends_immediately(api: Api, origin: Headers) -> None:
    user_id, admin = await api.new_user("admin")
    reply = await api.http.post("/web-ui-tickets", headers=admin)
    reply = await pressed(api, reply.json()["url"].partition("ticket=")[2])
    headers = origin | {"Cookie": reply.headers["set-cookie"].split(";")[0]}
    assert (await api.http.post("/codec/decode", content=await sealed(api), headers=headers)).status_code == 200
    for change, status, code in (
        ("UPDATE users SET role = 'member' WHERE user_id = $1", 403, "NOT_ALLOWED"),
        ("UPDATE users SET state = 'blocked' WHERE user_id = $1", 401, "NOT_AUTHENTICATED"),
    ):
        await api.rows(change, user_id)
        refused = await api.http.post("/codec/decode", content=await sealed(api), headers=headers)
        assert_refused(refused, status, code)


async def test_the_web_ui_itself_is_behind_the_login(api: Api, origin: Headers) -> None:
    for path in ("", "/namespaces", "/_app/x.js", f"/api/v1/namespaces/default/workflows/{uuid4().hex}"):
        assert_refused(await api.http.get(f"/temporal{path}"), 401, "NOT_AUTHENTICATED")
    page = await api.http.get("/temporal/namespaces/default/workflows/a%2Fb?x=%22", headers={"Accept": "text/html"})
    assert page.status_code == 401
    assert "orchestrator web-ui" in page.text
    assert f'href="{api.settings.ui_url}/namespaces/default/workflows/a%2Fb?x=%22"' in page.text
    assert_refused(await api.http.get("/"), 404, "NOT_FOUND")
    assert (await api.http.get("/", headers={"Accept": "text/html"})).headers["location"] == HOME
    cookie = await logged_in(api)
    assert_refused(await api.http.post("/temporal/api/v1/x", headers=cookie), 403, "NOT_ALLOWED")
    # Logged in, the request is forwarded to the Web UI; none runs in this test.
    assert_refused(await api.http.get("/temporal/namespaces", headers=cookie), 503, "TEMPORAL_UNREACHABLE")


async def test_a_link_of_an_earlier_version_leads_to_the_same_page(api: Api) -> None:
    for path in ("", "/default/workflows/a%2Fb/1/timeline", "/default/workflows?query=Stage%3D%22waiting%22", "//evil"):
        reply = await api.http.get(f"/namespaces{path}", headers={"Accept": "text/html"})
        assert (reply.status_code, reply.headers["location"]) == (308, f"/temporal/namespaces{path}")


@pytest.mark.parametrize(("method", "asked", "status"), [("GET", 2, 200), ("POST", 1, 503)])
async def test_a_script_of_a_page_is_asked_for_again_when_its_connection_breaks(
    api: Api, origin: Headers, method: str, asked: int, status: int
) -> None:
    """The Web UI closes a connection at the moment in which it is used again."""
    seen: list[str] = []

    async def breaks_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readuntil(b"\r\n")).decode().split()[0])
        if len(seen) > 1:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\ncode")
            await writer.drain()
        writer.close()

    ui = httpx.URL(api.settings.ui_origin)
    async with await asyncio.start_server(breaks_once, ui.host, ui.port):
        reply = await api.http.request(method, "/temporal/_app/some.js", headers=origin | await logged_in(api))
    assert (seen, reply.status_code) == ([method] * asked, status)


def test_these_are_the_only_routes_that_are_entered_by_cookie(api: Api) -> None:
    plain, pending = set(), list(api.app.router.routes)
    while pending:
        route = pending.pop()
        pending.extend(getattr(getattr(route, "original_router", None), "routes", []))
        if type(route) is Route and not route.path.startswith("/openapi"):
            plain.add(route.path)
    below = {f"{path}{rest}" for path in ("/temporal", "/namespaces") for rest in ("", "/{rest:path}")}
    assert plain == {"/", "/codec/decode", "/ui-login", *below}
