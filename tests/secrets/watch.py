"""Looks for secrets while work runs: what is there only for a moment leaks as well."""

import json
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.secrets import places
from tests.secrets.containers import Engine
from tests.secrets.scan import Scan

_PROCESSES_S = 0.05
_FILES_S = 0.5
_NOT_WHILE_IT_RUNS = {"caches", "postgres", ".postgres.new", "temporal"}
"""Large, and they keep what was written: they are looked at afterwards."""


class Watch(ABC):
    """A thread of its own. What goes wrong in it is raised at its end: a watch that slept proves nothing."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.looks = 0
        self._ending = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._guarded, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self.wake()
        self._thread.join(60)
        if self._error is not None and error is None:
            raise self._error

    def _guarded(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for this thread
            self._error = error

    def wake(self) -> None:  # noqa: B027 - most need no waking
        """Let `run` notice that it is over."""

    @abstractmethod
    def run(self) -> None: ...


class ProcessWatch(Watch):
    """Arguments and environments of every process, also those within containers, twenty times a second."""

    def run(self) -> None:
        while not self._ending.wait(_PROCESSES_S):
            self.looks += 1
            for directory in Path("/proc").iterdir():
                if directory.name.isdigit():
                    self._look(directory)

    def _look(self, process: Path) -> None:
        try:
            arguments = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except (OSError, ProcessLookupError):
            return  # it has ended, or is another user's
        name = _named(arguments, environment)
        self.scan.look("arguments of processes", name, arguments, passing=True)
        self.scan.look("environments of processes", name, environment, passing=True)


def _named(arguments: bytes, environment: bytes) -> str:
    """Short, and without what may be secret: the program, its module, and whether it is a deployed service."""
    parts = arguments.decode(errors="replace").split("\0")
    module = f" -m {parts[2]}" if parts[1:2] == ["-m"] and len(parts) > 2 else ""
    service = "a deployed service, " if b"\0RELEASE_PHASE=" in b"\0" + environment else ""
    return f"{service}{Path(parts[0]).name[:40]}{module[:60]}"


class FileWatch(Watch):
    """What changes in a home, twice a second."""

    def __init__(self, scan: Scan, home: Path) -> None:
        super().__init__(scan)
        self._home = home
        self._seen: dict[str, dict[Path, places.Stamp]] = {}

    def run(self) -> None:
        while not self._ending.wait(_FILES_S):
            self.looks += 1
            for part in self._home.iterdir() if self._home.exists() else []:
                if part.is_dir() and part.name not in _NOT_WHILE_IT_RUNS:
                    seen = self._seen.setdefault(part.name, {})
                    places.look_at_files(self.scan, f"home, {part.name}", part, seen=seen)


class EngineWatch(Watch):
    """Everything that an engine says happens, and each container as soon as it is there and when it has ended."""

    def __init__(self, scan: Scan, engine: Engine) -> None:
        super().__init__(scan)
        self.engine = engine
        self.mine: set[str] = set()
        """Parts of the names of containers whose files are looked at when they have ended."""
        self.paths: list[str] = []
        self._events: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        argv = [*self.engine.before, "docker", "events", "--format", "{{json .}}"]
        while not self._ending.wait(0.2):
            # Started again when the engine or its machine was down.
            with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as events:
                self._events = events
                assert events.stdout is not None
                for line in events.stdout:
                    self.scan.look(f"{self.engine.kind}, docker events", "events", line, passing=True)
                    self._react(json.loads(line))
                events.kill()

    def wake(self) -> None:
        if self._events is not None:
            self._events.kill()

    def _react(self, event: dict[str, object]) -> None:
        actor = event.get("Actor")
        if event.get("Type") != "container" or not isinstance(actor, dict):
            return
        name, action = str(actor["Attributes"].get("name", actor["ID"])), str(event.get("Action"))
        if action in {"create", "start", "die"}:
            self.looks += 1
            self.engine.look_at_container(self.scan, name)
        if action == "die" and any(part in name for part in self.mine):
            self.engine.look_at_writable(self.scan, name, self.paths)


@contextmanager
def watching(*watches: Watch) -> Iterator[None]:
    with ExitStack() as stack:
        for watch in watches:
            stack.enter_context(watch)
        yield
