"""Work begins after those who wait for their first sign, and never waits for them for long."""

import asyncio

from bot.starts import Starts
from tests.support.patience import patience


async def test_work_waits_for_those_who_have_not_had_a_sign() -> None:
    starts, said = Starts(patience_s=60), list[str]()

    async def begin() -> None:
        async with starts.turn():
            said.append("began")

    with starts.sign_expected():
        with starts.sign_expected():
            beginning = asyncio.create_task(begin())
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        said.append("accepted")
    await beginning
    assert said == ["accepted", "began"]


async def test_a_chat_that_cannot_be_reached_holds_up_no_work() -> None:
    starts = Starts(patience_s=0.01)
    with starts.sign_expected():
        async with asyncio.timeout(patience(5)), starts.turn():
            pass


async def test_few_begin_at_once_and_all_of_them_begin() -> None:
    starts, most, now = Starts(at_once=2), 0, 0

    async def begin() -> None:
        nonlocal most, now
        async with starts.turn():
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*(begin() for _ in range(9)))
    assert (most, now) == (2, 0)
