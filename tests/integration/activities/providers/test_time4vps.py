"""Time4VPS, which throttles, answers errors after it has begun, and shows passwords on web pages."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from activities.ports import Progress
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.servers.providers import ProviderAction, ProviderOrder
from contracts.states import ProviderActionKind, ProviderActionState
from emulators.time4vps.account import OSES
from emulators.time4vps.faults import Fault, Kind
from tests.integration.activities.providers.worlds import Rented, rented


@pytest_asyncio.fixture
async def vps() -> AsyncIterator[Rented]:
    async with rented() as made:
        yield made


async def order(vps: Rented, kind: ProviderActionKind = ProviderActionKind.REINSTALL, **more: object) -> ProviderOrder:
    seen = await vps.provider.machine(vps.ref)
    return ProviderOrder(ref=vps.ref, kind=kind, order_id="o-1", after=seen.last_action_at).model_copy(update=more)


async def ended(vps: Rented, action: ProviderAction) -> Progress:
    for _ in range(10):
        found = await vps.provider.progress(action)
        if found.state is not ProviderActionState.RUNNING:
            return found
    raise AssertionError("it does not end")


async def refused(vps: Rented) -> OrchestratorError:
    with pytest.raises(OrchestratorError) as caught:
        await vps.provider.machines()
    return caught.value


@pytest.mark.parametrize(
    ("kind", "code", "error_class"),
    [
        (Kind.THROTTLED, ErrorCode.PROVIDER_THROTTLED, ErrorClass.UPSTREAM),
        (Kind.ADDRESS, ErrorCode.PROVIDER_ADDRESS_REFUSED, ErrorClass.PERMANENT),
        (Kind.LOGIN, ErrorCode.PROVIDER_LOGIN_REFUSED, ErrorClass.PERMANENT),
        (Kind.UNSAID, ErrorCode.PROVIDER_REFUSED, ErrorClass.PERMANENT),
        (Kind.ERROR_BEFORE, ErrorCode.PROVIDER_UNREACHABLE, ErrorClass.UPSTREAM),
        (Kind.PAGE, ErrorCode.PROVIDER_UNREACHABLE, ErrorClass.UPSTREAM),
        (Kind.DROP, ErrorCode.PROVIDER_UNREACHABLE, ErrorClass.UPSTREAM),
    ],
)
async def test_each_trouble_has_its_own_code_and_only_what_passes_is_tried_again(
    vps: Rented, kind: Kind, code: ErrorCode, error_class: ErrorClass
) -> None:
    vps.faults.plan(Fault(kind))
    error = await refused(vps)
    assert (error.code, error.error_class) == (code, error_class)
    assert vps.account.password not in error.message
    assert await vps.provider.machines(), "and it works again"


async def test_a_throttled_request_says_how_long_to_wait(vps: Rented) -> None:
    for wait, said in ((24, "24.0"), (10**9, "600.0")):
        vps.faults.plan(Fault(Kind.THROTTLED, wait_s=wait))
        assert (await refused(vps)).details == {"retry_after_s": said}


async def test_a_wrong_password_is_refused_as_one() -> None:
    async with rented("wrong") as vps:
        assert (await refused(vps)).code is ErrorCode.PROVIDER_LOGIN_REFUSED


@pytest.mark.parametrize("form", ["html", "text"])
@pytest.mark.parametrize("kind", [ProviderActionKind.REINSTALL, ProviderActionKind.RESET_PASSWORD])
async def test_the_new_password_is_the_one_that_opens_the_machine(
    vps: Rented, form: str, kind: ProviderActionKind
) -> None:
    vps.account.form = form
    found = await ended(vps, await vps.provider.order(await order(vps, kind)))
    assert found.password == vps.machine.passwords[-1]


@pytest.mark.parametrize("kind", [Kind.ERROR_AFTER])
@pytest.mark.parametrize("what", [ProviderActionKind.REINSTALL, ProviderActionKind.RESET_PASSWORD])
async def test_a_task_that_begins_although_the_answer_is_an_error_is_followed_and_its_password_kept(
    vps: Rented, kind: Kind, what: ProviderActionKind
) -> None:
    given = await order(vps, what)
    vps.faults.plan(Fault(kind, path="reinstall" if what is ProviderActionKind.REINSTALL else "resetpassword"))
    found = await ended(vps, await vps.provider.order(given))
    assert (found.state, found.password) == (ProviderActionState.DONE, vps.machine.passwords[-1])
    assert len(vps.machine.passwords) == 1


async def test_an_order_whose_task_ended_while_the_platform_was_down_is_not_given_again(vps: Rented) -> None:
    given = await order(vps)
    first = await vps.provider.order(given)
    await ended(vps, first)
    again = await vps.provider.order(given)
    assert (await ended(vps, again)).password == vps.machine.passwords[-1]
    assert len(vps.machine.installations) == 1


async def test_an_error_before_the_task_began_is_tried_again(vps: Rented) -> None:
    given = await order(vps)
    vps.faults.plan(Fault(Kind.ERROR_BEFORE, path="reinstall"))
    with pytest.raises(OrchestratorError) as caught:
        await vps.provider.order(given)
    assert (caught.value.error_class, vps.machine.installations) == (ErrorClass.UPSTREAM, [])
    await vps.provider.order(given)
    assert len(vps.machine.installations) == 1


async def test_a_throttled_look_neither_ends_an_action_nor_loses_its_password(vps: Rented) -> None:
    action = await vps.provider.order(await order(vps))
    vps.faults.plan(Fault(Kind.THROTTLED, times=2))
    for _ in range(2):
        with pytest.raises(OrchestratorError) as caught:
            await vps.provider.progress(action)
        assert caught.value.code is ErrorCode.PROVIDER_THROTTLED
    assert (await ended(vps, action)).password == vps.machine.passwords[-1]


async def test_a_task_without_an_end_keeps_running(vps: Rented) -> None:
    vps.account.looks = None
    action = await vps.provider.order(await order(vps))
    assert {(await vps.provider.progress(action)).state for _ in range(20)} == {ProviderActionState.RUNNING}
    assert (await vps.provider.machine(vps.ref)).busy_with == "server_recreate"


async def test_another_order_waits_for_a_task_that_is_not_its_own(vps: Rented) -> None:
    vps.account.looks = None
    await vps.provider.order(await order(vps))
    with pytest.raises(OrchestratorError) as caught:
        await vps.provider.order(await order(vps, ProviderActionKind.RESET_PASSWORD, order_id="o-2"))
    assert (caught.value.code, caught.value.error_class) == (ErrorCode.PROVIDER_BUSY, ErrorClass.UPSTREAM)
    assert len(vps.machine.passwords) == 1


async def test_a_task_that_ends_with_an_error_has_failed_and_says_nothing_of_its_own(vps: Rented) -> None:
    vps.account.fails = True
    found = await ended(vps, await vps.provider.order(await order(vps)))
    assert (found.state, found.password) == (ProviderActionState.FAILED, None)


async def test_a_reinstallation_without_a_password_is_done_and_a_password_can_be_ordered(vps: Rented) -> None:
    vps.account.form = "none"
    found = await ended(vps, await vps.provider.order(await order(vps)))
    assert (found.state, found.password) == (ProviderActionState.DONE, None)
    vps.account.form = "text"
    reset = await vps.provider.order(await order(vps, ProviderActionKind.RESET_PASSWORD, order_id="o-2"))
    assert (await ended(vps, reset)).password == vps.machine.passwords[-1]


async def test_a_price_that_has_changed_since_the_plan_refuses_the_order(vps: Rented) -> None:
    given = await order(vps, price=(await vps.provider.machine(vps.ref)).price)
    vps.machine.price = "19.99"
    with pytest.raises(OrchestratorError) as caught:
        await vps.provider.order(given)
    assert (caught.value.code, vps.machine.installations) == (ErrorCode.PROVIDER_PRICE_CHANGED, [])


async def test_a_reinstallation_keeps_the_present_system_unless_the_order_names_another(vps: Rented) -> None:
    await vps.provider.order(await order(vps, ssh_key="ssh-ed25519 AAAA platform"))
    assert (vps.machine.installations, vps.machine.ssh_key) == ([OSES[0]], "ssh-ed25519 AAAA platform")
    async with rented() as other:
        await other.provider.order(await order(other, image=OSES[1]))
        assert other.machine.installations == [OSES[1]]


async def test_the_emulator_refuses_what_the_real_one_does_not_know(vps: Rented) -> None:
    given = await order(vps, image="windows-3.11")
    with pytest.raises(OrchestratorError) as caught:
        await vps.provider.order(given)
    assert (caught.value.code, vps.machine.installations) == (ErrorCode.PROVIDER_REFUSED, [])
