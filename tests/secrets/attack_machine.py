"""What a hostile program tries: `python3 attack_machine.py '{"home": …}'` prints a document of attempt and answer.

Standard library only, as whoever has broken into a service has nothing else. An answer is `no: WHY`, or what was got.
"""

import contextlib
import ctypes
import fcntl
import glob
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SECONDS = 3.0
_PTRACE_DETACH, _PTRACE_SEIZE = 17, 0x4206


def _no(error: BaseException) -> str:
    return f"no: {type(error).__name__}"


def read_any(paths: list[str]) -> str:
    """The first of these files or directories that can be read; patterns, too."""
    why = "no: nothing is there"
    for path in (one for pattern in paths for one in (glob.glob(pattern) or [pattern])):
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


def write_any(paths: list[str]) -> str:
    """The first of these that can be written to: a file opened for more, which gets nothing, or a directory."""
    why = "no: nothing is there"
    for path in (one for pattern in paths for one in (glob.glob(pattern) or [pattern])):
        try:
            if os.path.isdir(path):
                mine = f"{path}/attack-{os.getpid()}"
                os.mkdir(mine)
                os.rmdir(mine)
                return f"got: {path} takes files"
            # Only what is there: a path of the host may lie where everybody may create files.
            with open(path, "r+b"):
                return f"got: {path} can be written"
        except FileNotFoundError:
            continue
        except OSError as error:
            why = _no(error)
    return why


def hold_any(paths: list[str]) -> str:
    """A lock that is held for ever holds up whoever waits for it."""
    why = "no: nothing is there"
    for path in (one for pattern in paths for one in glob.glob(pattern)):
        try:
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return f"got: {path} is held"
        except OSError as error:
            why = _no(error)
    return why


def others() -> list[int]:
    """Processes that are not ours."""
    own = os.getuid()
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if entry.isdigit() and os.stat(f"/proc/{entry}").st_uid != own:
                found.append(int(entry))
    return found


def read_of_processes(files: list[str], mark: str) -> str:
    seen = []
    for pid in others():
        for name in files:
            with contextlib.suppress(OSError):
                if mark.encode() in Path(f"/proc/{pid}/{name}").read_bytes():
                    seen.append(pid)
    return f"got: of {len(seen)} processes" if seen else "no: none has it"


def open_memory() -> str:
    for pid in others():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/mem", "rb"):
            return f"got: the memory of {pid}"
        with contextlib.suppress(OSError):
            return f"got: {len(os.listdir(f'/proc/{pid}/fd'))} files of {pid}"
        with contextlib.suppress(OSError):
            return f"got: {len(os.listdir(Path('/proc', str(pid), 'root')))} entries of the root of {pid}"
    return "no: refused"


def trace() -> str:
    """Seizing a process does not stop it."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    for pid in others():
        if ptrace(_PTRACE_SEIZE, pid, None, None) == 0:
            ptrace(_PTRACE_DETACH, pid, None, None)
            return f"got: {pid} is traced"
    return "no: refused"


def signal_others() -> str:
    """Signal 0 ends nobody, and is refused as every other."""
    for pid in others():
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            return f"got: {pid} may be signalled"
    return "no: refused"


def _succeeds(*command: str) -> bool:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(command, stdin=-3, capture_output=True, timeout=_SECONDS, check=False).returncode == 0
    return False


def become_root() -> str:
    if os.getuid() == 0:
        return "got: it is root"
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    if int(status["CapEff"], 16) or int(status["CapPrm"], 16):
        return f"got: capabilities {status['CapEff']}"
    with contextlib.suppress(OSError):
        os.setuid(0)
        return "got: setuid(0)"
    for command in (("sudo", "-n", "true"), ("su", "-c", "true"), ("chroot", "/", "true")):
        if _succeeds(*command):
            return f"got: {command[0]}"
    return "no: refused" if status["NoNewPrivs"] == "1" else "got: programs of root may still make it root"


def mount() -> str:
    return "got: a mount" if _succeeds("mount", "-t", "tmpfs", "none", "/mnt") else "no: refused"


def open_devices() -> str:
    return read_any([f"/dev/{name}" for name in ("mem", "kmem", "sd?", "vd?", "nvme0n1", "kvm", "fuse", "net/tun")])


def plant_links(targets: list[str]) -> str:
    """In every directory of our own: links to what the platform owns, for it to read, to give away or to remove."""
    places = {os.getcwd(), *(os.environ.get(name, "") for name in ("DATA_DIR", "HOME", "TMPDIR"))} - {""}
    planted = 0
    for place in places:
        for number, target in enumerate(targets):
            for make in (os.symlink, os.link):
                with contextlib.suppress(OSError):
                    make(target, f"{place}/planted-{make.__name__}-{number}")
                    planted += 1
        with contextlib.suppress(OSError):
            os.mkfifo(f"{place}/planted-pipe")
    return f"planted: {planted}"


def attempts(told: dict[str, Any]) -> dict[str, Callable[[], str]]:
    """Each by name; `told` has what an attacker may have guessed."""
    return {**_at_files(told, told["home"]), **_at_processes(told)}


def _at_files(told: dict[str, Any], home: str) -> dict[str, Callable[[], str]]:
    users = "/var/lib/codegen-orchestrator"
    locks = [f"{home}/*.lock", f"{home}/.lock", f"{home}/forge/.locks/*", f"{home}/keys/ssh/.*.lock", f"{users}/.lock",
             f"{home}/caches/venvs/*.lock", f"{home}/runs/*/lock", "/tmp/codegen-orchestrator-0/*"]  # fmt: skip
    programs = ["/usr/bin/python3", "/usr/local/bin", "/etc/passwd", "/etc/cron.d", "/etc/ld.so.preload",
                os.environ.get("VIRTUAL_ENV", "/opt"), f"{home}/caches/venvs/*/lib/*/site-packages"]  # fmt: skip
    kernel = ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper",
              "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/*/release_agent", "/sys/fs/cgroup"]  # fmt: skip
    return {
        "read the platform's keys": lambda: read_any(
            [f"{home}/keys/{name}" for name in ("admin.key", "api-service.key", "bot.key", "ssh/*", "server/*")]
        ),
        "read the key rings": lambda: read_any([f"{home}/keys/payload.json", f"{home}/keys/vault.json"]),
        "read the database's password and files": lambda: read_any(
            [f"{home}/postgres.password", f"{home}/postgres/base", f"{home}/temporal/temporal.db"]
        ),
        "read orders of deploys, runs and logs": lambda: read_any(
            [f"{home}/orders", f"{home}/runs", f"{home}/artifacts", f"{home}/logs", f"{home}/logs/api.log"]
        ),
        "read the machine's own secrets": lambda: read_any(
            [
                "/etc/shadow",
                os.path.expanduser("~root/.ssh"),
                "/var/lib/docker",
                "/var/lib/codegen-orchestrator/users.json",
                "/proc/kcore",
            ]
        ),
        "read another owner's source": lambda: read_any(told["victim"]["source"]),
        "read another owner's data and environment": lambda: read_any(told["victim"]["data"]),
        "hold a lock of others": lambda: hold_any([*told["victim"]["locks"], *locks]),
        "write where everybody's programs are": lambda: write_any([*programs, *told["programs"]]),
        "write into the platform's home": lambda: write_any(
            [home, *(f"{home}/{name}" for name in ("keys", "runs", "orders", "agents", "services", "caches/venvs"))]
        ),
        "take the place of the model proxy": lambda: write_any(
            ["/model", "/model/proxy.sock", f"{home}/sockets/model"]
        ),
        "write to the kernel": lambda: write_any(kernel),
        "plant links that the platform follows": lambda: plant_links(told["links"]),
    }


def _at_processes(told: dict[str, Any]) -> dict[str, Callable[[], str]]:
    return {
        "read the environment of others": lambda: read_of_processes(["environ", "cmdline"], told["mark"]),
        "read memory, files and root of others": open_memory,
        "trace others": trace,
        "signal others": signal_others,
        "become root": become_root,
        "mount something": mount,
        "open devices": open_devices,
    }


def main() -> None:
    told, answers = json.loads(sys.argv[1]), {}
    for name, attempt in attempts(told).items():
        if not name.startswith(tuple(told.get("only", [""]))):
            continue
        try:
            answers[name] = attempt()
        except Exception as error:  # noqa: BLE001 - an attack goes on, whatever one attempt meets
            answers[name] = _no(error)
    sys.stdout.write(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
