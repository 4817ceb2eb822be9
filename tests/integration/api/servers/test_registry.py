"""The table of servers: what people decide about a machine, and what nobody changes by the way."""

import base64
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.support.api import Api, Headers, running_api


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


def new_key(kind: str = "ssh-ed25519") -> str:
    name = kind.encode()
    content = len(name).to_bytes(4, "big") + name + uuid4().bytes * 2
    return f"{kind} {base64.b64encode(content).decode()}"


async def call(api: Api, method: str, path: str, body: object = None, headers: Headers | None = None) -> httpx.Response:
    return await api.http.request(method, path, json=body, headers=headers or api.admin)


async def added(api: Api, **fields: Any) -> str:
    body = {"handle": f"s-{uuid4().hex[:8]}", "public_ip": "203.0.113.9", **fields}
    reply = await call(api, "POST", "/servers", body)
    assert reply.status_code == 201, reply.text
    return str(body["handle"])


async def shown(api: Api, handle: str) -> dict[str, Any]:
    return dict((await call(api, "GET", f"/servers/{handle}")).json())


async def code(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json().get("code", "")


async def live_on(api: Api, handle: str) -> str:
    project = await api.new_project(api.admin)
    body = {"project_id": project, "services": ["backend"], "server_handle": handle}
    reply = await call(api, "POST", "/internal/ports", body, api.platform)
    assert reply.status_code == 200, reply.text
    return project


async def test_a_new_server_is_nobodys_to_change_until_somebody_says_so(api: Api) -> None:
    handle = await added(api, provider="time4vps", machine_id="1001")
    server = await shown(api, handle)
    assert (server["status"], server["managed"], server["provider"]) == ("pending_setup", False, "time4vps")
    reply = await call(api, "PUT", f"/servers/{handle}/management", {"managed": True})
    assert reply.json()["managed"] is True


@pytest.mark.parametrize(
    "bad",
    [
        {"public_ip": "-oProxyCommand=touch"}, {"ssh_host": "{{ lookup('pipe', 'id') }}"}, {"ssh_user": "a b"},
        {"machine_id": "../other"}, {"host_key": "ssh-ed25519 AAAA"}, {"host_key": "nonsense"},
        {"status": "decommissioned"}, {"status": "provisioning"}, {"kind": "machine", "managed": True},
        {"provider": "local"}, {"provider": "none"},
    ],
)  # fmt: skip
async def test_what_would_be_an_option_or_a_template_is_no_server(api: Api, bad: dict[str, Any]) -> None:
    body = {"handle": f"s-{uuid4().hex[:8]}", "public_ip": "203.0.113.9", **bad}
    assert await code(await call(api, "POST", "/servers", body)) == (422, "INVALID_INPUT")


async def test_the_first_key_is_pinned_and_another_one_refused_until_a_person_gives_it(api: Api) -> None:
    handle, first, second = await added(api), new_key(), new_key()
    place = f"/internal/servers/{handle}/host-key"
    for _ in range(2):
        pinned = (await call(api, "PUT", place, {"host_key": first}, api.platform)).json()
        assert (pinned["host_key"], pinned["host_key_pinned_by"]) == (first, None)
    other = await call(api, "PUT", place, {"host_key": second}, api.platform)
    assert await code(other) == (409, "HOST_KEY_CHANGED")
    assert (await shown(api, handle))["host_key"] == first
    given = (await call(api, "PUT", f"/servers/{handle}/host-key", {"host_key": f"{second} root@new"})).json()
    assert (given["host_key"], given["host_key_pinned_by"]) == (second, 1)
    assert (await call(api, "PUT", place, {"host_key": second}, api.platform)).status_code == 200


async def test_a_machine_with_one_more_key_is_known_and_one_with_another_key_is_not(api: Api) -> None:
    ed, rsa = new_key(), new_key("ssh-rsa")
    handle = await added(api, host_key=ed)
    place = f"/internal/servers/{handle}/host-key"
    assert (await call(api, "PUT", place, {"host_key": f"{rsa}\n{ed}"}, api.platform)).status_code == 200
    for strange in (rsa, f"{rsa}\n{new_key()}"):
        reply = await call(api, "PUT", place, {"host_key": strange}, api.platform)
        assert await code(reply) == (409, "HOST_KEY_CHANGED")


async def test_known_hosts_lines_and_remarks_are_taken_as_keys(api: Api) -> None:
    key = new_key()
    handle = await added(api, host_key=f"# from the console\nvps.example.org {key}\n")
    assert (await shown(api, handle))["host_key"] == key


async def test_a_reserved_server_is_left_alone_and_comes_back_as_it_was(api: Api) -> None:
    handle = await added(api, status="ready")
    for _ in range(2):
        assert (await call(api, "POST", f"/servers/{handle}/reserve")).json()["status"] == "reserved"
    for method, path, body in (
        ("PATCH", f"/servers/{handle}", {"status": "ready"}),
        ("PUT", f"/servers/{handle}/management", {"managed": True}),
        ("PUT", f"/servers/{handle}/host-key", {"host_key": new_key()}),
        ("PUT", f"/servers/{handle}/credentials/ROOT_PASSWORD", {"value": "x"}),
    ):
        assert await code(await call(api, method, path, body)) == (409, "SERVER_RESERVED"), path
    allocated = await call(
        api, "POST", "/internal/ports",
        {"project_id": await api.new_project(api.admin), "services": ["backend"], "server_handle": handle},
        api.platform,
    )  # fmt: skip
    assert allocated.json()["code"] == "NO_SERVER"
    for _ in range(2):
        assert (await call(api, "POST", f"/servers/{handle}/release")).json()["status"] == "ready"


async def test_a_reserved_server_stays_so_when_the_platform_registers_it_again(api: Api) -> None:
    handle = f"s-{uuid4().hex[:8]}"
    body = {"handle": handle, "kind": "container", "public_ip": "10.9.0.1", "status": "ready"}
    first = (await call(api, "PUT", "/internal/servers", body, api.platform)).json()
    assert (first["provider"], first["managed"]) == ("local", True)
    await call(api, "POST", f"/servers/{handle}/reserve")
    await call(api, "PUT", "/internal/servers", {**body, "public_ip": "10.9.0.2"}, api.platform)
    server = await shown(api, handle)
    assert (server["status"], server["public_ip"], server["provider"]) == ("reserved", "10.9.0.2", "local")


async def test_a_server_with_projects_on_it_cannot_be_reserved(api: Api) -> None:
    handle = await added(api, status="ready", port_from=24000, port_to=24009)
    await live_on(api, handle)
    assert await code(await call(api, "POST", f"/servers/{handle}/reserve")) == (409, "SERVER_NOT_EMPTY")


@pytest.mark.parametrize("status", ["reserved", "force_rebuild", "decommissioned", "provisioning", "missing"])
async def test_no_server_is_rebuilt_or_taken_away_by_a_status(api: Api, status: str) -> None:
    handle = await added(api, status="ready")
    assert await code(await call(api, "PATCH", f"/servers/{handle}", {"status": status})) == (422, "INVALID_INPUT")
    assert (await shown(api, handle))["status"] == "ready"


async def test_a_credential_goes_in_sealed_and_only_the_platform_gets_it_out(api: Api) -> None:
    handle, value = await added(api), f"hunter2-{uuid4().hex}"
    stored = await call(api, "PUT", f"/servers/{handle}/credentials/ROOT_PASSWORD", {"value": value})
    listed = await call(api, "GET", f"/servers/{handle}/credentials")
    assert stored.status_code == listed.status_code == 200
    assert [one["name"] for one in listed.json()["items"]] == ["ROOT_PASSWORD"]
    assert value not in stored.text + listed.text
    place = f"/internal/servers/{handle}/credentials/ROOT_PASSWORD"
    assert (await call(api, "POST", f"{place}/reveal", headers=api.admin)).status_code == 403
    assert (await call(api, "POST", f"{place}/reveal", headers=api.platform)).json() == {"value": value}
    await call(api, "PUT", place, {"value": "of the provider"}, api.platform)
    assert (await call(api, "POST", f"{place}/reveal", headers=api.platform)).json() == {"value": "of the provider"}
    rows = await api.rows("SELECT * FROM server_credentials WHERE server_handle = $1", handle)
    assert value.encode() not in b"".join(bytes(one) for one in (rows[0]["ciphertext"], rows[0]["wrapped_key"]))
    assert value not in (await call(api, "GET", "/audit?limit=500")).text


async def test_a_credential_of_one_server_opens_no_other_one(api: Api) -> None:
    mine, other = await added(api), await added(api)
    for handle in (mine, other):
        await call(api, "PUT", f"/servers/{handle}/credentials/ROOT_PASSWORD", {"value": handle})
    await api.rows(
        "UPDATE server_credentials SET wrapped_key = o.wrapped_key, ciphertext = o.ciphertext "
        "FROM server_credentials o WHERE server_credentials.server_handle = $1 AND o.server_handle = $2",
        mine, other,
    )  # fmt: skip
    reply = await call(api, "POST", f"/internal/servers/{mine}/credentials/ROOT_PASSWORD/reveal", headers=api.platform)
    assert reply.json()["code"] == "PAYLOAD_TAMPERED"


async def test_a_server_without_the_credential_says_how_to_store_it(api: Api) -> None:
    handle = await added(api)
    place = f"/internal/servers/{handle}/credentials/ROOT_PASSWORD/reveal"
    reply = await call(api, "POST", place, headers=api.platform)
    assert await code(reply) == (409, "SECRET_MISSING")
    assert f"orchestrator server credential {handle}" in reply.json()["detail"]


async def test_a_provider_login_is_a_secret_of_the_installation(api: Api) -> None:
    place = "/internal/providers/time4vps/login"
    assert await code(await call(api, "POST", place, headers=api.platform)) == (409, "SECRET_MISSING")
    for name in ("TIME4VPS_USERNAME", "TIME4VPS_PASSWORD"):
        await call(api, "PUT", f"/platform-secrets/{name}", {"value": name.lower()})
    reply = await call(api, "POST", place, headers=api.platform)
    assert reply.json() == {"username": "time4vps_username", "password": "time4vps_password"}
    assert (await call(api, "POST", place, headers=api.admin)).status_code == 403
    static = await call(api, "POST", "/internal/providers/static/login", headers=api.platform)
    assert await code(static) == (409, "PROVIDER_CANNOT")


async def test_what_a_provider_says_moves_no_server_and_forgets_no_size(api: Api) -> None:
    handle = await added(api, provider="time4vps", machine_id="7", ram_mb=4096)
    said = {"ref": {"provider": "time4vps", "server_handle": handle, "machine_id": "7"}, "public_ip": "198.51.100.1",
            "price": "9.99 monthly", "image": "kvm-debian-12", "cpu_cores": 2}  # fmt: skip
    noted = (await call(api, "PUT", f"/internal/servers/{handle}/machine", said, api.platform)).json()
    assert (noted["price"], noted["image"], noted["cpu_cores"]) == ("9.99 monthly", "kvm-debian-12", 2)
    assert (noted["public_ip"], noted["ram_mb"]) == ("203.0.113.9", 4096)
    assert noted["provider_seen_at"]


async def test_a_member_decides_nothing_about_servers(api: Api) -> None:
    _, member = await api.new_user()
    handle = await added(api)
    for method, path, body in (
        ("POST", f"/servers/{handle}/reserve", None),
        ("POST", f"/servers/{handle}/release", None),
        ("PUT", f"/servers/{handle}/management", {"managed": True}),
        ("PUT", f"/servers/{handle}/host-key", {"host_key": new_key()}),
        ("GET", f"/servers/{handle}/credentials", None),
        ("PUT", f"/servers/{handle}/credentials/ROOT_PASSWORD", {"value": "x"}),
        ("PUT", f"/internal/servers/{handle}/credentials/ROOT_PASSWORD", {"value": "x"}),
        ("PUT", f"/internal/servers/{handle}/host-key", {"host_key": new_key()}),
    ):
        assert (await call(api, method, path, body, member)).status_code == 403, path
