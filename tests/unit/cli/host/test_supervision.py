"""The supervisor's own signals."""

import asyncio
import os
import signal

import pytest

from cli.host.supervision import stop_request
from tests.support.patience import within


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_anybody_waits_is_a_stop_request_and_nothing_else(number: signal.Signals) -> None:
    """The supervisor's record invites signals, and what follows it takes time."""

    async def run() -> bool:
        stopping = stop_request()
        os.kill(os.getpid(), number)
        await within(stopping.wait(), 5)
        return stopping.is_set()

    assert asyncio.run(run())
