"""Gets a server into the state that releases need, with Ansible: its directories and the release program.

The playbook is a detached run with a fixed ident: two that prepare one server follow the same. It is run when the
program is not there: for a new server, and after an upgrade of the platform.
"""

import asyncio
import json
import platform
import re
import shutil
import sys
from pathlib import Path

import structlog

from activities.adapters.playbooks.detached import program_environment
from activities.adapters.playbooks.release_kit import PLAYBOOK, SERVICES, ReleaseKit, release_kit
from activities.adapters.release.directory import write_private
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.supervisor import SupervisedCommand, Supervisor
from activities.adapters.servers.remote_shell import ServerAccess, run_on
from contracts.errors import ErrorCode, OrchestratorError, end_of

logger = structlog.get_logger(__name__)

_TIMEOUT_S = 300
_UNREACHABLE = 4
"""What Ansible ends with when a host could not be reached."""
_MAX_LOG = 100_000
_MISSING = re.compile(r'"msg": "(Without [^"]+)"')
"""How the playbook says what the server has to do without."""


async def ensure_prepared(home: Path, access: ServerAccess) -> None:
    """Make sure that the release program is on the server. `home` is the installation's state directory.

    Raises SERVER_UNREACHABLE (transient) if it does not answer, PROCESS_FAILED (transient) if that fails otherwise.
    """
    kit = await asyncio.to_thread(release_kit)
    if (await run_on(access, f"test -d {kit.path}")).code == 0:
        return
    root = home / "playbooks" / f"play-{access.handle}-{Path(kit.path).name}"
    async with file_lock(root.with_name(f".{root.name}.lock")):
        await _run(Supervisor(home / "runs"), root, access, kit)


async def _run(supervisor: Supervisor, root: Path, access: ServerAccess, kit: ReleaseKit) -> None:
    ident = root.name
    if supervisor.status(ident).state == "lost":
        await supervisor.stop(ident, grace_s=0)
        supervisor.remove(ident)
    await asyncio.to_thread(_write, root, access, kit)
    await supervisor.start(_command(ident, root))
    status = await supervisor.wait(ident)
    log, _ = supervisor.read_output(ident, 0, _MAX_LOG)
    await asyncio.to_thread(supervisor.remove, ident)
    await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)
    for lack in _MISSING.findall(log.decode(errors="replace")):
        logger.warning("a server lacks something", server=access.handle, lack=lack)
    if status.exit_code != 0:
        said = end_of(log.decode(errors="replace").strip(), 1_000)
        reason = f"The server {access.handle} cannot be prepared for releases: {said}"
        away = status.exit_code == _UNREACHABLE
        raise OrchestratorError.transient(ErrorCode.SERVER_UNREACHABLE if away else ErrorCode.PROCESS_FAILED, reason)


def _write(root: Path, access: ServerAccess, kit: ReleaseKit) -> None:
    for name in ("env", "inventory"):
        (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    archive = root / "kit.tar.gz"
    write_private(archive, kit.content)
    variables = {"archive": str(archive), "kit": kit.path, "services": SERVICES} | _door(kit)
    write_private(root / "inventory" / "hosts.json", json.dumps({"all": {"hosts": {"server": access.inventory()}}}))
    write_private(root / "env" / "extravars", json.dumps(variables))


def _door(kit: ReleaseKit) -> dict[str, str]:
    """Caddy of this machine runs on servers of the same architecture only."""
    return {"caddy": str(kit.caddy or ""), "door": kit.door, "machine": platform.machine()}


def _command(ident: str, root: Path) -> SupervisedCommand:
    argv = [sys.executable, "-m", "ansible_runner", "run", str(root), "--ident", ident]
    argv += ["--playbook", PLAYBOOK.name, "--project-dir", str(PLAYBOOK.parent)]
    env = program_environment() | {
        "HOME": str(root),
        "ANSIBLE_HOME": str(root / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
    }
    return SupervisedCommand(ident, argv, root, env, timeout_s=_TIMEOUT_S)
