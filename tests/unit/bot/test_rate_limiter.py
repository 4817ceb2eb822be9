"""A chat gets one edit a second, urgent messages immediately, and nothing while Telegram's 429 lasts."""

import asyncio

from bot.sending.rate_limiter import RateLimiter
from tests.support.patience import patience


async def test_a_chat_gets_one_edit_a_second_and_urgent_messages_immediately() -> None:
    limiter, times = RateLimiter(private_s=0.1, total_s=0.0), []
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def edit() -> None:
        async with limiter.slot(5):
            times.append(loop.time() - began)

    await asyncio.gather(*(edit() for _ in range(3)))
    assert times == sorted(times)
    assert times[2] >= 0.19

    slow = RateLimiter(private_s=3600.0, total_s=0.0)
    async with slow.slot(5):
        pass
    next_edit = asyncio.create_task(_use_slot(slow, 5))
    async with asyncio.timeout(patience(5)), slow.urgent(5):
        assert not next_edit.done()
    next_edit.cancel()


async def _use_slot(limiter: RateLimiter, chat: int) -> None:
    async with limiter.slot(chat):
        pass


async def test_a_429_pauses_its_own_chat_only() -> None:
    limiter = RateLimiter(private_s=0.0, total_s=0.0)
    limiter.pause(5, 3600.0)
    async with asyncio.timeout(patience(5)):
        await _use_slot(limiter, 6)
    loop, limiter = asyncio.get_running_loop(), RateLimiter(private_s=0.0, total_s=0.0)
    limiter.pause(5, 0.2)
    began = loop.time()
    async with limiter.urgent(5):
        assert loop.time() - began >= 0.19
