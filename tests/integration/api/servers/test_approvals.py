"""What loses data or a machine is done with a person's approval of exactly that, and else refused and recorded."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.integration.api.servers.test_registry import added, call, live_on, new_key, shown
from tests.support.api import Api, running_api

WAYS = ("reinstall", "destroy", "remove")


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@dataclass
class Case:
    """One server of this machine, and one way to lose what is on it."""

    api: Api
    handle: str
    way: str

    async def ask(self, **fields: Any) -> dict[str, Any]:
        reply = await self.asked(**fields)
        assert reply.status_code == 201, reply.text
        return dict(reply.json())

    async def asked(self, **fields: Any) -> httpx.Response:
        body = {"approval_id": f"a-{uuid4().hex[:8]}", "act": self.way, **fields}
        return await call(self.api, "POST", f"/servers/{self.handle}/approvals", body)

    async def decide(self, approval: dict[str, Any], approved: bool = True, **fields: Any) -> httpx.Response:
        body = {"approved": approved, "plan_hash": approval["plan_hash"], **fields}
        return await call(self.api, "POST", f"/servers/{self.handle}/approvals/{approval['id']}/decision", body)

    async def approved(self) -> dict[str, Any]:
        approval = await self.ask()
        reply = await self.decide(approval)
        assert reply.json()["state"] == "approved", reply.text
        return approval

    async def use(self, approval: dict[str, Any] | None, order_id: str = "o-1", **fields: Any) -> httpx.Response:
        """Do it."""
        named = {"approval_id": approval["id"], "plan_hash": approval["plan_hash"]} if approval else {}
        if self.way == "remove":
            body = {"approval_id": "a-none", "plan_hash": "0" * 64, **named, **fields}
            return await call(self.api, "POST", f"/servers/{self.handle}/remove", body)
        ref = {"provider": "local", "server_handle": self.handle}
        body = {"ref": ref, "kind": self.way, "order_id": order_id, **named, **fields}
        return await call(self.api, "POST", f"/internal/servers/{self.handle}/orders", body, self.api.platform)

    async def refused(self, reply: httpx.Response, code: str) -> None:
        """With this code, in the trail, and nothing has changed."""
        assert (reply.status_code, reply.json()["code"]) == (409, code), reply.text
        action = "server.remove" if self.way == "remove" else "server.order"
        entries = await call(self.api, "GET", f"/audit?action={action}&target={self.handle}&limit=5")
        assert entries.json()["items"][0]["result"] == code
        assert (await shown(self.api, self.handle))["status"] != "decommissioned"


@pytest_asyncio.fixture(params=WAYS)
async def case(request: pytest.FixtureRequest, api: Api) -> Case:
    handle = f"s-{uuid4().hex[:8]}"
    body = {"handle": handle, "kind": "container", "public_ip": "10.9.0.1", "status": "ready", "host_key": new_key(),
            "port_from": 25000, "port_to": 25009}  # fmt: skip
    await call(api, "PUT", "/internal/servers", body, api.platform)
    return Case(api, handle, request.param)


async def test_without_an_approval_nothing_is_lost(case: Case) -> None:
    await case.refused(await case.use(None), "APPROVAL_MISSING")
    await case.refused(
        await case.use({"id": "", "plan_hash": ""} if case.way != "remove" else None), "APPROVAL_MISSING"
    )


async def test_asking_is_no_approval_and_neither_is_a_no(case: Case) -> None:
    approval = await case.ask()
    await case.refused(await case.use(approval), "APPROVAL_MISSING")
    await case.decide(approval, approved=False)
    await case.refused(await case.use(approval), "APPROVAL_MISSING")


async def test_with_an_approval_it_is_done_once(case: Case) -> None:
    approval = await case.approved()
    assert (await case.use(approval)).status_code == 200
    seen = (await call(case.api, "GET", f"/servers/{case.handle}/approvals/{approval['id']}")).json()
    assert seen["state"] == "used"
    if case.way == "remove":
        assert (await case.use(approval)).status_code == 404
        listed = (await call(case.api, "GET", "/servers?limit=500")).json()["items"]
        assert case.handle not in {one["handle"] for one in listed}
        return
    assert (await case.use(approval)).status_code == 200, "the same order may come again"
    now = await shown(case.api, case.handle)
    assert now["host_key"] == "", "what is there now has another key"
    assert (now["status"] == "missing") == (case.way == "destroy"), "nothing new goes to a machine that is gone"
    await case.refused(await case.use(approval, order_id="o-2"), "APPROVAL_STALE")


async def test_of_many_orders_at_once_one_uses_the_approval(case: Case) -> None:
    approval = await case.approved()
    replies = await asyncio.gather(*(case.use(approval, order_id=f"o-{number}") for number in range(8)))
    assert [reply.status_code for reply in replies].count(200) == 1
    assert {reply.status_code for reply in replies} <= {200, 404, 409}


async def test_an_approval_of_one_act_or_server_is_none_of_another(case: Case, api: Api) -> None:
    others = [way for way in WAYS if way != case.way]
    for way in others:
        approval = await Case(api, case.handle, way).approved()
        await case.refused(await case.use(approval), "APPROVAL_MISSING")
    neighbour = f"s-{uuid4().hex[:8]}"
    body = {"handle": neighbour, "kind": "container", "public_ip": "10.9.0.2", "status": "ready"}
    await call(api, "PUT", "/internal/servers", body, api.platform)
    approval = await Case(api, neighbour, case.way).approved()
    await case.refused(await case.use(approval), "APPROVAL_MISSING")


async def _price(case: Case) -> None:
    ref = {"provider": "local", "server_handle": case.handle}
    body = {"ref": ref, "price": "19.99 monthly"}
    await call(case.api, "PUT", f"/internal/servers/{case.handle}/machine", body, case.api.platform)


async def _key(case: Case) -> None:
    await call(case.api, "PUT", f"/servers/{case.handle}/host-key", {"host_key": new_key()})


async def _address(case: Case) -> None:
    body = {"handle": case.handle, "kind": "container", "public_ip": "10.9.0.77", "status": "ready",
            "port_from": 25000, "port_to": 25009}  # fmt: skip
    await call(case.api, "PUT", "/internal/servers", body, case.api.platform)


async def _age(case: Case) -> None:
    await case.api.rows(
        "UPDATE server_approvals SET expires_at = now() - interval '1 second' WHERE server_handle = $1", case.handle
    )


@pytest.mark.parametrize("change", [_price, _key, _address, _age])
async def test_an_approval_is_stale_when_the_server_has_changed_since_or_a_day_has_passed(
    case: Case, change: Callable[[Case], Awaitable[None]]
) -> None:
    approval = await case.approved()
    await change(case)
    await case.refused(await case.use(approval), "APPROVAL_STALE")


async def test_a_project_that_has_come_since_is_not_lost_by_an_older_approval(case: Case) -> None:
    approval = await case.approved()
    await live_on(case.api, case.handle)
    code = "APPROVAL_STALE" if case.way == "reinstall" else "SERVER_NOT_EMPTY"
    await case.refused(await case.use(approval), code)


async def test_another_plan_than_the_one_that_was_seen_is_not_approved_by_its_id(case: Case) -> None:
    approval = await case.ask()
    wrong = await case.decide(approval, plan_hash="0" * 64)
    assert wrong.json()["code"] == "APPROVAL_STALE"
    assert (await case.decide(approval)).status_code == 200
    await case.refused(await case.use({**approval, "plan_hash": "f" * 64}), "APPROVAL_STALE")


async def test_what_has_changed_between_asking_and_deciding_is_not_approved(case: Case) -> None:
    approval = await case.ask()
    await _key(case)
    assert (await case.decide(approval)).json()["code"] == "APPROVAL_STALE"
    assert (await case.decide(approval, approved=False)).json()["state"] == "refused"


async def test_the_first_decision_counts(case: Case) -> None:
    approval = await case.ask()
    for _ in range(2):
        assert (await case.decide(approval, approved=False)).json()["state"] == "refused"
    assert (await case.decide(approval)).json()["code"] == "CONFLICT"


async def test_a_reserved_server_and_one_that_is_not_managed_are_out_of_reach_with_every_approval(case: Case) -> None:
    approval = await case.approved()
    await call(case.api, "PUT", f"/servers/{case.handle}/management", {"managed": False})
    await case.refused(await case.use(approval), "SERVER_NOT_MANAGED")
    assert (await case.asked()).json()["code"] == "SERVER_NOT_MANAGED"
    await call(case.api, "PUT", f"/servers/{case.handle}/management", {"managed": True})
    await call(case.api, "POST", f"/servers/{case.handle}/reserve")
    await case.refused(await case.use(approval), "SERVER_RESERVED")
    assert (await case.asked()).json()["code"] == "SERVER_RESERVED"
    assert (await case.decide(approval)).json()["code"] == "SERVER_RESERVED"


async def test_the_platforms_own_machine_is_never_lost(api: Api) -> None:
    for way in WAYS:
        own = Case(api, "local", way)
        assert (await own.asked()).json()["code"] == "SERVER_NOT_MANAGED"
        await own.refused(await own.use(None), "SERVER_NOT_MANAGED")
    assert (await call(api, "PUT", "/servers/local/management", {"managed": True})).status_code == 409


async def test_a_new_password_is_refused_where_nothing_may_be_done(api: Api) -> None:
    """It needs no approval, and would lock the owner of a foreign machine out."""
    handle = await added(api, provider="time4vps", machine_id="1001")
    ref = {"provider": "time4vps", "server_handle": handle, "machine_id": "1001"}
    body = {"ref": ref, "kind": "reset_password", "order_id": "o-1"}
    place = f"/internal/servers/{handle}/orders"
    assert (await call(api, "POST", place, body, api.platform)).json()["code"] == "SERVER_NOT_MANAGED"
    await call(api, "PUT", f"/servers/{handle}/management", {"managed": True})
    assert (await call(api, "POST", place, body, api.platform)).status_code == 200
    for wrong in ({**ref, "machine_id": "2002"}, {**ref, "provider": "local"}, {**ref, "server_handle": "local"}):
        reply = await call(api, "POST", place, {**body, "ref": wrong}, api.platform)
        assert reply.json()["code"] == "CONFLICT", wrong
    await call(api, "POST", f"/servers/{handle}/reserve")
    assert (await call(api, "POST", place, body, api.platform)).json()["code"] == "SERVER_RESERVED"


async def test_an_order_that_says_more_than_its_plan_is_stale(api: Api) -> None:
    handle = await added(api, provider="time4vps", machine_id="1001", managed=True)
    case = Case(api, handle, "reinstall")
    approval = await case.approved()
    ref = {"provider": "time4vps", "server_handle": handle, "machine_id": "1001"}
    for more in ({"image": "kvm-windows"}, {"price": "99.99 monthly"}):
        await case.refused(await case.use(approval, ref=ref, **more), "APPROVAL_STALE")
    assert (await case.use(approval, ref=ref, price="")).status_code == 200


async def test_what_the_provider_cannot_do_is_not_even_asked_for(api: Api) -> None:
    own = await added(api, managed=True)
    rented = await added(api, provider="time4vps", machine_id="1", managed=True)
    for handle, way in ((own, "reinstall"), (own, "destroy"), (rented, "destroy")):
        assert (await Case(api, handle, way).asked()).json()["code"] == "PROVIDER_CANNOT", (handle, way)


async def test_only_an_active_admin_decides_also_when_a_workflow_asked(api: Api) -> None:
    handle = await added(api, managed=True)
    case, (member_id, member) = Case(api, handle, "remove"), await api.new_user()
    approval = await case.ask()
    body = {"approved": True, "plan_hash": approval["plan_hash"]}
    place = f"/servers/{handle}/approvals/{approval['id']}/decision"
    assert (await call(api, "POST", place, body, member)).status_code == 403
    for actor in (
        {"user_id": member_id, "role": "admin", "via": "telegram"},
        {"user_id": 1, "role": "admin", "via": "agent"},
        {"user_id": 1, "role": "member", "via": "cli"},
        {"user_id": 99, "role": "admin", "via": "cli"},
    ):
        reply = await call(api, "POST", f"/internal{place}", {**body, "actor": actor}, api.platform)
        assert (reply.status_code, reply.json()["code"]) == (403, "NOT_ALLOWED"), actor
    admin = {"user_id": 1, "role": "admin", "via": "telegram"}
    reply = await call(api, "POST", f"/internal{place}", {**body, "actor": admin}, api.platform)
    assert (reply.json()["state"], reply.json()["decided_by"]) == ("approved", 1)


async def test_a_request_that_is_repeated_is_the_same_and_its_id_is_for_nothing_else(case: Case) -> None:
    first = await case.ask(approval_id="a-same-" + case.handle)
    assert await case.ask(approval_id=first["id"]) == first
    assert (await case.asked(approval_id=first["id"], image="other")).json()["code"] == "CONFLICT"


async def test_a_removed_server_can_be_added_anew_and_nothing_opens_it(api: Api) -> None:
    handle = await added(api, managed=True)
    await call(api, "PUT", f"/servers/{handle}/credentials/ROOT_PASSWORD", {"value": "x"})
    case = Case(api, handle, "remove")
    assert (await case.use(await case.approved())).json()["status"] == "decommissioned"
    assert await api.rows("SELECT 1 FROM server_credentials WHERE server_handle = $1", handle) == []
    for method, path in (("POST", "reserve"), ("POST", "release")):
        assert (await call(api, method, f"/servers/{handle}/{path}")).status_code == 404
    again = await call(api, "POST", "/servers", {"handle": handle, "public_ip": "203.0.113.77"})
    assert (again.status_code, again.json()["status"], again.json()["managed"]) == (201, "pending_setup", False)
