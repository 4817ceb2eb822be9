"""A start lets pending acknowledgements go first, but never waits for them for long."""

import asyncio

from bot.tasks.start_limiter import StartLimiter
from tests.support.patience import patience


async def test_a_start_waits_for_pending_acknowledgements() -> None:
    limiter, order = StartLimiter(max_wait_s=60), list[str]()

    async def begin() -> None:
        async with limiter.slot():
            order.append("began")

    with limiter.acknowledgement_pending():
        with limiter.acknowledgement_pending():
            beginning = asyncio.create_task(begin())
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        order.append("accepted")
    await beginning
    assert order == ["accepted", "began"]


async def test_an_unreachable_chat_does_not_block_starts() -> None:
    limiter = StartLimiter(max_wait_s=0.01)
    with limiter.acknowledgement_pending():
        async with asyncio.timeout(patience(5)), limiter.slot():
            pass


async def test_few_starts_run_at_the_same_time_and_all_run() -> None:
    limiter, most, now = StartLimiter(concurrency=2), 0, 0

    async def begin() -> None:
        nonlocal most, now
        async with limiter.slot():
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*(begin() for _ in range(9)))
    assert (most, now) == (2, 0)
