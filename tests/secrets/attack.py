"""What a hostile program tries: `python3 attack.py '{"home": …}'` prints a document of attempt and answer.

Standard library only, as whoever has broken into a service has nothing else. An answer is `no: WHY`, or what was got.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SECONDS = 3.0


def _no(error: BaseException) -> str:
    return f"no: {type(error).__name__}"


def read_any(paths: list[str]) -> str:
    """The first of these files or directories that can be read."""
    why = "no: nothing is there"
    for path in paths:
        try:
            if os.path.isdir(path):
                return f"got: {path} has {len(os.listdir(path))} entries"
            with open(path, "rb") as file:
                return f"got: {len(file.read(1000))} bytes of {path}"
        except FileNotFoundError:
            continue
        except OSError as error:
            why = _no(error)
    return why


def connect(host: str, port: int) -> str:
    try:
        with socket.create_connection((host, port), _SECONDS):
            return "got: a connection"
    except OSError as error:
        return _no(error)


def connect_socket(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(_SECONDS)
        try:
            one.connect(path)
        except OSError as error:
            return _no(error)
        return "got: a connection"


def ask(url: str, headers: dict[str, str], body: bytes | None = None) -> str:
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as reply:
            return f"got: {reply.status} {reply.read(300)!r}"
    except urllib.error.HTTPError as error:
        return f"no: {error.code}"
    except OSError as error:
        return _no(error)


def others() -> list[int]:
    """Processes that are not ours."""
    own = os.getuid()
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if entry.isdigit() and os.stat(f"/proc/{entry}").st_uid != own:
                found.append(int(entry))
    return found


def read_environments(mark: str) -> str:
    seen = []
    for pid in others():
        with contextlib.suppress(OSError):
            if mark.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                seen.append(pid)
    return f"got: {len(seen)} environments" if seen else "no: none can be read"


def open_memory() -> str:
    for pid in others():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/mem", "rb"):
            return f"got: the memory of {pid}"
    return "no: none can be opened"


def signal_others() -> str:
    """Signal 0 ends nobody, and is refused as every other."""
    for pid in others():
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            return f"got: {pid} may be signalled"
    return "no: nobody may be signalled"


def become_root() -> str:
    if os.getuid() == 0:
        return "got: it is root"
    with contextlib.suppress(OSError):
        os.setuid(0)
        return "got: setuid(0)"
    for command in (["sudo", "-n", "true"], ["su", "-c", "true"]):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if subprocess.run(command, stdin=-3, capture_output=True, timeout=_SECONDS, check=False).returncode == 0:
                return f"got: {command[0]}"
    return "no: refused"


def mount() -> str:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        command = ["mount", "-t", "tmpfs", "none", "/mnt"]
        if subprocess.run(command, stdin=-3, capture_output=True, timeout=_SECONDS, check=False).returncode == 0:
            return "got: a mount"
    return "no: refused"


def write_any(paths: list[str]) -> str:
    for path in paths:
        with contextlib.suppress(OSError), open(path, "ab"):
            return f"got: {path} can be written"
    return "no: none can be written"


def open_devices() -> str:
    names = [f"/dev/{name}" for name in ("mem", "kmem", "sda", "vda", "nvme0n1", "kvm")]
    return read_any([name for name in names if os.path.exists(name)])


def attempts(told: dict[str, Any]) -> dict[str, Callable[[], str]]:
    """Each by name; `told` has what an attacker may have guessed: paths, ports and addresses."""
    home, host = told["home"], told["host"]
    ports = told["ports"]
    made = {
        "read the platform's keys": lambda: read_any([f"{home}/keys/{n}.key" for n in ("admin", "service", "bot")]),
        "read the key rings": lambda: read_any([f"{home}/keys/payload.json", f"{home}/keys/vault.json"]),
        "read the database's password and files": lambda: read_any(
            [f"{home}/postgres.password", f"{home}/postgres/base", f"{home}/temporal/temporal.db"]
        ),
        "read orders of deploys and logs": lambda: read_any([f"{home}/orders", f"{home}/logs/api.log"]),
        "read another project's source, data and environment": lambda: read_any(told["victim"]),
        "read the environment of other processes": lambda: read_environments(told["mark"]),
        "open the memory of other processes": open_memory,
        "signal other processes": signal_others,
        "become root": become_root,
        "mount something": mount,
        "write where everybody's programs are": lambda: write_any(
            ["/usr/bin/python3", "/etc/passwd", "/etc/cron.d/x", f"{home}/attack"]
        ),
        "open devices": open_devices,
        "reach the Docker Engine": lambda: connect_socket("/var/run/docker.sock"),
        "ask the API without a key": lambda: ask(f"http://{host}:{ports['api']}/projects", {}),
        "ask the API as somebody": lambda: ask(
            f"http://{host}:{ports['api']}/projects",
            {"Authorization": "Bearer guessed", "X-Orchestrator-User": "1"},
        ),
        "decode payloads": lambda: ask(f"http://{host}:{ports['api']}/codec/decode", {"Origin": "null"}, b"{}"),
        "reach the cloud's metadata": lambda: connect("169.254.169.254", 80),
    }
    for name in ("temporal", "postgres"):
        made[f"connect to {name}"] = lambda name=name: connect(host, ports[name])
    return made


def main() -> None:
    answers = {}
    for name, attempt in attempts(json.loads(sys.argv[1])).items():
        try:
            answers[name] = attempt()
        except Exception as error:  # noqa: BLE001 - an attack goes on, whatever one attempt meets
            answers[name] = _no(error)
    sys.stdout.write(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
