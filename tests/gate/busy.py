"""Processors that have something else to do, as on a machine that others use."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SPIN = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0))).start()  # the pipe is closed with its parent
while True:
    pass
"""


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that never rest beside the block. They end with their parent, however that ends."""
    running = [subprocess.Popen([sys.executable, "-c", _SPIN], stdin=subprocess.PIPE) for _ in range(loops)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()
