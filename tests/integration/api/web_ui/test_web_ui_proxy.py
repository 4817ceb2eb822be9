"""The readable Web UI behind a reverse proxy that knows who people are: whom the API believes, and about whom."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from api.app import create_app
from runtime.settings import Settings
from tests.integration.api.web_ui.test_web_ui import TEXT, assert_refused, logged_in, sealed
from tests.support.api import Api, Headers, running_api

PUBLIC = "https://orchestrator.example.test"
PROXY, OTHER = "10.1.2.3", "10.9.9.9"
SECRET = "between the proxy and the API"
NAMES = {"alice@example.test": 1, "Zoë": 1, "bob": 4711, "gone": 4712}


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        reply = await running.http.post("/users", json={"user_id": 4711, "role": "member"}, headers=running.admin)
        assert reply.status_code == 201
        yield running


def behind(api: Api, **changed: Any) -> Settings:
    """The settings of an API behind the proxy."""
    return Settings(
        home=api.settings.home,
        ui_port=api.settings.ui_port,
        public_url=changed.pop("public_url", PUBLIC),
        trusted_proxies=changed.pop("trusted_proxies", (f"{PROXY}/32",)),
        proxy_users=NAMES,
        **changed,
    )


class ProxyClient:
    """One API process over ASGI, as a proxy reaches it from `address`."""

    def __init__(self, app: Any, address: str) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 40_000))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://orchestrator.example.test")

    async def decode(self, api: Api, headers: Headers | list[tuple[str, str]]) -> httpx.Response:
        return await self.http.post("/codec/decode", content=await sealed(api), headers=headers)


@pytest_asyncio.fixture
async def proxied(api: Api) -> AsyncIterator[ProxyClient]:
    async for client in opened(api, behind(api), PROXY):
        yield client


async def opened(api: Api, settings: Settings, address: str) -> AsyncIterator[ProxyClient]:
    app = create_app(settings, database_url=api.database_url, gateway=api.gateway)
    async with app.router.lifespan_context(app):
        client = ProxyClient(app, address)
        yield client
        await client.http.aclose()


def of(name: str, origin: str = PUBLIC) -> Headers:
    return {"X-Forwarded-User": name, "Origin": origin}


@pytest.mark.parametrize("name", ["alice@example.test", "Zoë"])
async def test_an_admin_whom_the_proxy_names_reads_without_any_link(api: Api, proxied: ProxyClient, name: str) -> None:
    headers = [(b"X-Forwarded-User", name.encode()), (b"Origin", PUBLIC.encode())]
    reply = await proxied.http.post("/codec/decode", content=await sealed(api), headers=headers)
    assert reply.status_code == 200, reply.text
    assert "set-cookie" not in reply.headers, "each request is named anew: who logs out of the proxy is out"
    # The Web UI itself does not run in this test: the request got through to where it would be.
    assert_refused(await proxied.http.get("/temporal/namespaces", headers=headers), 503, "TEMPORAL_UNREACHABLE")


async def test_the_first_request_that_a_proxy_names_is_a_sign_in(api: Api) -> None:
    query = "SELECT user_id, address FROM audit WHERE action = 'sign_in.proxy'"
    before = len(await api.rows(query))
    async for client in opened(api, behind(api), PROXY):
        for _ in range(3):
            await client.decode(api, of("alice@example.test"))
        await client.decode(api, of("bob"))
    [entry] = (await api.rows(query))[before:]
    assert (entry["user_id"], entry["address"]) == (1, PROXY)


async def test_the_header_of_anybody_else_is_worth_nothing(api: Api) -> None:
    async for client in opened(api, behind(api), OTHER):
        reply = await client.decode(api, of("alice@example.test"))
        assert_refused(reply, 401, "NOT_AUTHENTICATED")
        assert "ORCHESTRATOR_TRUSTED_PROXIES" in reply.json()["detail"]
        spoofed = of("alice@example.test") | {"X-Forwarded-For": PROXY, "Forwarded": f"for={PROXY}"}
        assert_refused(await client.decode(api, spoofed), 401, "NOT_AUTHENTICATED")


async def test_without_the_setting_no_proxy_is_believed(api: Api) -> None:
    assert Settings().trusted_proxies == ()
    async for client in opened(api, behind(api, trusted_proxies=()), PROXY):
        assert_refused(await client.decode(api, of("alice@example.test")), 401, "NOT_AUTHENTICATED")


async def test_a_proxy_with_a_secret_is_believed_with_it_only(api: Api) -> None:
    async for client in opened(api, behind(api, proxy_secret=SecretStr(SECRET)), PROXY):
        for wrong in ({}, {"X-Orchestrator-Proxy-Secret": ""}, {"X-Orchestrator-Proxy-Secret": SECRET[:-1]}):
            assert_refused(await client.decode(api, of("alice@example.test") | wrong), 401, "NOT_AUTHENTICATED")
        right = of("alice@example.test") | {"X-Orchestrator-Proxy-Secret": SECRET}
        assert (await client.decode(api, right)).status_code == 200


async def test_another_header_can_be_named(api: Api) -> None:
    async for client in opened(api, behind(api, proxy_user_header="Remote-User"), PROXY):
        assert_refused(await client.decode(api, of("alice@example.test")), 401, "NOT_AUTHENTICATED")
        named = {"Remote-User": "alice@example.test", "Origin": PUBLIC}
        assert (await client.decode(api, named)).status_code == 200


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("mallory", 403, "NOT_ALLOWED"),
        ("ALICE@example.test", 403, "NOT_ALLOWED"),
        ("bob", 403, "NOT_ALLOWED"),
        ("gone", 401, "NOT_AUTHENTICATED"),
        (" ", 401, "NOT_AUTHENTICATED"),
    ],
    ids=["unknown", "spelled differently", "a member", "deleted", "nobody"],
)
async def test_who_may_not_read_gets_nothing_although_the_proxy_knows_them(
    api: Api, proxied: ProxyClient, name: str, status: int, code: str
) -> None:
    assert_refused(await proxied.decode(api, of(name)), status, code)
    assert_refused(await proxied.http.get("/temporal/api/v1/namespaces", headers=of(name)), status, code)
    page = await proxied.http.get("/temporal/namespaces/default/workflows", headers=of(name) | {"Accept": "text/html"})
    assert page.status_code == status
    assert "127.0.0.1" not in page.text, "the page without a login is not reachable from elsewhere"


async def test_a_member_is_told_where_their_own_work_is(proxied: ProxyClient) -> None:
    page = await proxied.http.get("/temporal/namespaces/default/workflows", headers=of("bob") | {"Accept": "text/html"})
    assert "You have no access to these pages" in page.text
    assert "orchestrator task show" in page.text


async def test_a_page_shows_a_name_as_text(proxied: ProxyClient) -> None:
    headers = of("<b>mallory</b>") | {"Accept": "text/html"}
    page = await proxied.http.get("/temporal/namespaces", headers=headers)
    assert page.status_code == 403
    assert "<b>" not in page.text
    assert "&lt;b&gt;mallory" in page.text


async def test_two_names_are_none(api: Api, proxied: ProxyClient) -> None:
    both = [("X-Forwarded-User", "bob"), ("X-Forwarded-User", "alice@example.test"), ("Origin", PUBLIC)]
    assert_refused(await proxied.decode(api, both), 401, "NOT_AUTHENTICATED")


@pytest.mark.parametrize(
    "origin", ["https://evil.test", "http://127.0.0.1:8180", "http://orchestrator.example.test", ""]
)
async def test_only_a_page_of_the_public_address_makes_use_of_the_proxys_login(
    api: Api, proxied: ProxyClient, origin: str
) -> None:
    headers = {"X-Forwarded-User": "alice@example.test"} | ({"Origin": origin} if origin else {})
    assert_refused(await proxied.decode(api, headers), 403, "NOT_ALLOWED")
    assert_refused(await proxied.http.post("/temporal/api/v1/x", headers=headers), 403, "NOT_ALLOWED")


async def test_a_request_for_another_host_is_refused(api: Api, proxied: ProxyClient) -> None:
    for header in ("Host", "X-Forwarded-Host"):
        reply = await proxied.decode(api, of("alice@example.test") | {header: "evil.test"})
        assert_refused(reply, 403, "NOT_ALLOWED")
        assert "X-Forwarded-Host" in reply.json()["detail"]
    unchanged = of("alice@example.test") | {"Host": "127.0.0.1:8180"}
    assert (await proxied.decode(api, unchanged)).status_code == 200, "a proxy that sends its own target as the host"


async def test_the_proxys_name_wins_over_the_cookie_of_another_user(api: Api, proxied: ProxyClient) -> None:
    cookie = await logged_in(api)
    assert (await proxied.decode(api, cookie | {"Origin": PUBLIC})).status_code == 200
    assert_refused(await proxied.decode(api, of("bob") | cookie), 403, "NOT_ALLOWED")


async def test_the_cookie_of_an_https_address_is_sent_by_https_only(api: Api, proxied: ProxyClient) -> None:
    made = await proxied.http.post("/web-ui-tickets", headers=api.admin)
    url = made.json()["url"]
    assert url.startswith(f"{PUBLIC}/ui-login?ticket=")
    form = {"ticket": url.partition("ticket=")[2]}
    own_page = {"Origin": PUBLIC, "Host": "127.0.0.1:8180", "Sec-Fetch-Site": "same-origin"}
    reply = await proxied.http.post("/ui-login", data=form, headers=own_page)
    assert {"Secure", "HttpOnly", "SameSite=lax"} <= set(reply.headers["set-cookie"].split("; "))
    assert TEXT not in reply.text


async def test_the_public_address_is_behind_every_link(api: Api, tmp_path: Path) -> None:
    assert behind(api).site_url == PUBLIC
    assert behind(api).web_ui_url == f"{PUBLIC}/temporal"
    assert behind(api, public_url="HTTPS://Orchestrator.Example.Test:443/").site_url == PUBLIC
    assert behind(api, public_url="http://host:8080").site_url == "http://host:8080"
