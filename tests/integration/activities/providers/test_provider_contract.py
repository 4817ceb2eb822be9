"""What holds for each provider of machines: its own ones, its own words, one effect for one order."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from activities.ports import Progress
from contracts.errors import ErrorCode, OrchestratorError
from contracts.servers.providers import ProviderAction, ProviderOrder
from contracts.states import ProviderActionKind, ProviderActionState, ProviderKind
from tests.integration.activities.providers.worlds import World, world


@pytest_asyncio.fixture(params=list(ProviderKind))
async def there(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with world(request.param, tmp_path) as made:
        yield made


async def ended(there: World, action: ProviderAction) -> Progress:
    """The end of an action that takes a few looks."""
    for _ in range(10):
        found = await there.provider.progress(action)
        if found.state is not ProviderActionState.RUNNING:
            return found
    raise AssertionError("it does not end")


async def order(there: World, kind: ProviderActionKind, order_id: str = "o-1") -> ProviderOrder:
    seen = await there.provider.machine(there.ref)
    return ProviderOrder(ref=there.ref, kind=kind, order_id=order_id, after=seen.last_action_at)


async def test_a_machine_is_known_by_our_handle_and_says_what_can_be_done_with_it(there: World) -> None:
    seen = await there.provider.machine(there.ref)
    assert (seen.ref, seen.can, seen.is_active) == (there.ref, there.can, True)
    listed = {one.ref for one in await there.provider.machines()}
    assert there.ref in listed or there.ref.provider is ProviderKind.STATIC


async def test_a_machine_that_the_provider_does_not_have_is_not_found(there: World) -> None:
    ref = there.ref.model_copy(update={"server_handle": "other", "machine_id": "999"})
    with pytest.raises(OrchestratorError) as refused:
        await there.provider.machine(ref)
    assert refused.value.code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize("kind", list(ProviderActionKind))
async def test_an_order_has_one_effect_however_often_it_is_given_and_asked_for(
    there: World, kind: ProviderActionKind
) -> None:
    given = await order(there, kind)
    if kind not in there.can:
        with pytest.raises(OrchestratorError) as refused:
            await there.provider.order(given)
        assert (refused.value.code, there.effects()) == (ErrorCode.PROVIDER_CANNOT, 0)
        return
    actions = [await there.provider.order(given) for _ in range(3)]
    seen = [await ended(there, action) for action in (*actions, actions[0])]
    assert {one.state for one in seen} == {ProviderActionState.DONE}
    assert len({one.password for one in seen}) == 1
    assert (await there.provider.order(given), there.effects()) in [(action, 1) for action in actions]


async def test_two_orders_are_two_effects(there: World) -> None:
    if ProviderActionKind.REINSTALL not in there.can:
        return
    for number in (1, 2):
        given = await order(there, ProviderActionKind.REINSTALL, f"o-{number}")
        assert (await ended(there, await there.provider.order(given))).state is ProviderActionState.DONE
    assert there.effects() == 2


async def test_a_password_is_in_no_text_that_a_log_would_show(there: World) -> None:
    if ProviderActionKind.RESET_PASSWORD not in there.can:
        return
    action = await there.provider.order(await order(there, ProviderActionKind.RESET_PASSWORD))
    found = await ended(there, action)
    assert found.password
    assert found.password not in f"{found!r}{found.detail}{action!r}"
