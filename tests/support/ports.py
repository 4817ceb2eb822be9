"""TCP ports for tests: each test process takes them from a range of its own, so that no two take the same one."""

import os

from runtime.embedded.ports import is_free

# Below the ports of outgoing connections (on Linux from 32768), of which any can be taken at any moment.
_FIRST, _END = 20_000, 32_000


class _Range:
    """Goes round and round through the ports of this process."""

    def __init__(self, worker: str, workers: int) -> None:
        size = (_END - _FIRST) // workers
        number = int(worker.removeprefix("gw") or 0)
        self._first, self._end = _FIRST + number * size, _FIRST + (number + 1) * size
        # Another suite beside this one has the same ranges: it begins elsewhere.
        self._next = self._first + os.getpid() * 101 % size

    def take(self, count: int) -> int:
        while True:
            if self._next + count > self._end:
                self._next = self._first
            first, self._next = self._next, self._next + count
            if all(is_free(port) for port in range(first, self._next)):
                return first


_range = _Range(os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def free_ports(count: int) -> int:
    """The first of `count` loopback ports in a row on which nobody listens."""
    return _range.take(count)


def any_free() -> int:
    """A loopback port on which nobody listens."""
    return free_ports(1)
