"""Commands without an interpreter for each: one process has imported the command line, and forks a child for each.

The child has an environment, standard files and an exit code of its own, and ends as the program ends. Importing
takes most of a short command's time.
"""

import asyncio
import atexit
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from io import FileIO
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
_INHERITED = ("PATH", "HOME", "LANG", "ORCHESTRATOR_CI_RUN")
"""What an interpreter reads as it starts, and the mark by which a run in CI finds what it left."""
_PACKAGES = ("cli", "contracts", "runtime")
_LEFT_OUT = frozenset({"cli.__main__", "runtime.observability.tracing"})
"""The program is run in the child; whether traces are sent is seen by whether their module was imported."""
_IMPORTED_LATE = ("anyio._backends._asyncio", "httpcore", "rich.table", "temporalio.client", "temporalio.envconfig")


class CommandServer:
    """Runs commands. It ends with this process, however that ends, and its commands end with it."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.command_server", str(theirs.fileno())],
                cwd=ROOT,
                env={name: os.environ[name] for name in _INHERITED if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        """Commands that still run are ended with the connections of those who wait for them."""
        self._requests.close()
        self._process.kill()
        self._process.wait()

    async def run(
        self, arguments: Sequence[str], *, env: Mapping[str, str], stdin: bytes, timeout: float
    ) -> tuple[int, bytes, bytes]:
        """Exit code, standard output and standard error of one command; who runs too long is killed."""
        with ExitStack() as opened:
            request = json.dumps([list(arguments), dict(env)]).encode()
            files = [opened.enter_context(_in_memory(content)) for content in (request, stdin, b"", b"")]
            mine, theirs = (opened.enter_context(end) for end in socket.socketpair())
            socket.send_fds(self._requests, [b"run"], [theirs.fileno(), *(file.fileno() for file in files)])
            theirs.close()
            mine.setblocking(False)
            code = await _exit_code(mine, timeout)
            out, err = (_content(file) for file in files[2:])
            return code, out, err


@cache
def command_server() -> CommandServer:
    """The one of this process, begun by its first use."""
    server = CommandServer()
    atexit.register(server.close)
    return server


async def _exit_code(connection: socket.socket, timeout: float) -> int:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            said = await loop.sock_recv(connection, 16)
    except TimeoutError:
        connection.shutdown(socket.SHUT_WR)
        await loop.sock_recv(connection, 16)
        raise
    if not said:
        raise RuntimeError("The command server has ended; standard error says why.")
    return int(said)


def _in_memory(content: bytes) -> FileIO:
    file = FileIO(os.memfd_create("command"), "r+")
    file.write(content)
    file.seek(0)
    return file


def _content(file: FileIO) -> bytes:
    file.seek(0)
    return file.readall()


def _serve(requests: socket.socket) -> NoReturn:
    """Without threads and event loops, of which a child would have only half."""
    threads = os.listdir("/proc/self/task")
    assert len(threads) == 1, "a process with threads must not be forked"
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 16, 5)
        if not message:
            sys.exit()
        if os.fork() == 0:
            requests.close()
            _keep(descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _keep(descriptors: Sequence[int]) -> NoReturn:
    """Wait for one command in a process of its own; who has asked for it may go before it has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    command = os.fork()
    if command == 0:
        _become_command(descriptors)
    asked, ended = descriptors[0], os.pidfd_open(command)
    ready, _, _ = select.select([asked, ended], [], [])
    if ended not in ready:
        os.kill(command, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    with suppress(BrokenPipeError):
        os.write(asked, str(code).encode())
    os._exit(0)


def _become_command(descriptors: Sequence[int]) -> NoReturn:
    """What the interpreter does for a new program; the program itself ends the process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments, env = json.loads(_content(FileIO(descriptors[1], closefd=False)))
    for standard, given in enumerate(descriptors[2:]):
        os.dup2(given, standard)
    for given in descriptors:
        os.close(given)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = [str(ROOT / "cli" / "__main__.py"), *arguments]
    try:
        importlib.import_module("cli.__main__").main()
    except BaseException:  # noqa: BLE001 - with ORCHESTRATOR_DEBUG a traceback, as from the interpreter
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type] # there is one
        sys.stderr.flush()
    os._exit(1)


def _import_all() -> None:
    for package in map(importlib.import_module, _PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name not in _LEFT_OUT:
                importlib.import_module(module.name)
    for name in _IMPORTED_LATE:
        importlib.import_module(name)


if __name__ == "__main__":
    # Ctrl-C reaches the whole group; the tests end this process when they have ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # No process waits for the keepers.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _import_all()
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
