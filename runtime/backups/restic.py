"""The program `restic`, which keeps backups encrypted and once: in a directory, over SFTP or in S3.

Its password and its keys are in the environment of that one process, or in a file; never in arguments.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded, end_of
from contracts.redaction import redacted
from runtime import private_files
from runtime.settings import Settings

TAG = "codegen-orchestrator"
HOW_TO_GET = "Install it: apt-get install restic (Debian, Ubuntu), or `make restic RESTIC=install`."
_PARTIAL = 3
"""Its exit code for a backup in which some files could not be read."""
_PASSED = ("PATH", "HOME", "TMPDIR", "LANG", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CACHE_HOME")
_SSH = ("ssh", "-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oConnectTimeout=20", "-oServerAliveInterval=30")
"""A scheduled backup has nobody to ask, and host keys are known before the first."""
_SSH_OPTIONS = "SSH_OPTIONS"
"""In the file of access: more options of ssh, such as `-i /etc/backup-key`."""
_NO_REPOSITORY = ("Is there a repository at the following location?", "unable to open config file")
_LOCKED = "already locked"
_DAMAGED = (
    "ciphertext verification failed", "does not match", "repository contains errors", "invalid data", "not found in",
    "unexpected EOF", "hash mismatch", "decrypt", "bad MAC", "id mismatch", "pack file", "no such file or directory",
)  # fmt: skip
_AWAY = ("dial tcp", "onnection refused", "no such host", "i/o timeout", "Connection closed", "start the sftp session",
         "Access Denied", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch")  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a run of the program ended. `lines` are its JSON documents, `said` what it wrote besides."""

    code: int
    lines: list[dict[str, Any]]
    said: str


@dataclass(frozen=True)
class Repository:
    """Where backups are. `variables` are what restic needs to reach it, with its password."""

    location: str
    variables: Mapping[str, str] = field(repr=False)
    ssh_options: Sequence[str] = ()

    async def create_if_absent(self) -> None:
        """Make the repository unless it is there."""
        found = await self._run("cat", "config")
        if found.code == 0:
            return
        if not _is_absent(found.said):
            raise self._failure(found)
        made = await self._run("init")
        if made.code != 0:
            raise self._failure(made)

    async def backup(
        self, paths: Sequence[str], cwd: Path, tags: Sequence[str], excluded: Sequence[str], held: int
    ) -> tuple[str, int]:
        """Keep `paths`, which are below `cwd`; the snapshot's id, and how many files could not be read.

        `held` is a file descriptor of a lock, which restic has as long as it lives: it may outlive its caller.
        """
        options = [f"--tag={tag}" for tag in (TAG, *tags)] + [f"--exclude={one}" for one in excluded]
        # Hard links change the time of a file's entry, and not the file.
        ended = await self._run("backup", "--json", "--ignore-ctime", *options, *paths, cwd=cwd, held=held)
        if ended.code not in {0, _PARTIAL}:
            raise self._failure(ended)
        summary = next((line for line in ended.lines if line.get("message_type") == "summary"), None)
        if summary is None:
            raise self._failure(ended)
        return str(summary["snapshot_id"]), ended.said.count('"message_type":"error"')

    async def snapshots(self, *tags: str) -> list[dict[str, Any]]:
        """Every backup of this program with all of `tags`, the oldest first."""
        ended = await self._run("snapshots", "--json", f"--tag={','.join((TAG, *tags))}")
        if ended.code != 0:
            raise self._failure(ended)
        return sorted(ended.lines, key=lambda one: str(one["time"]))

    async def restore(self, snapshot: str, target: Path) -> None:
        """Write everything of a snapshot below `target`. Raises BACKUP_DAMAGED."""
        ended = await self._run("restore", snapshot, f"--target={target}")
        if ended.code != 0 or "ignoring error" in ended.said:
            raise self._failure(ended)

    async def check(self, *, sample_percent: int) -> None:
        """Look at the structure of the whole repository, and read a sample of its data. Raises BACKUP_DAMAGED."""
        ended = await self._run("check", f"--read-data-subset={sample_percent}%")
        if ended.code != 0:
            raise self._failure(ended)

    async def forget(self, *snapshots: str) -> None:
        """Let go of snapshots; their data goes with the next `keep_within`."""
        ended = await self._run("forget", *snapshots)
        if ended.code != 0:
            raise self._failure(ended)

    async def keep_within(self, days: int, home: str) -> None:
        """Remove backups of this home that are older than `days`, but never the newest."""
        ended = await self._run(
            "forget", "--prune", f"--tag={TAG},{home}", "--group-by=", f"--keep-within={days}d", "--keep-last=1"
        )
        if ended.code != 0:
            raise self._failure(ended)

    async def _run(self, *arguments: str, cwd: Path | None = None, held: int | None = None) -> Ended:
        """Run it, once more after locks of processes that have ended were removed."""
        ended = await self._run_once(*arguments, cwd=cwd, held=held)
        if ended.code == 0 or _LOCKED not in ended.said:
            return ended
        await self._run_once("unlock")
        return await self._run_once(*arguments, cwd=cwd, held=held)

    async def _run_once(self, *arguments: str, cwd: Path | None = None, held: int | None = None) -> Ended:
        is_sftp = self.location.startswith("sftp:")
        options = ("-o", f"sftp.command={_ssh_command(self.location, self.ssh_options)}") if is_sftp else ()
        process = await asyncio.create_subprocess_exec(
            _program(), *options, *arguments,
            env={**self.variables, "RESTIC_REPOSITORY": self.location}, cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            pass_fds=() if held is None else (held,),
        )  # fmt: skip
        try:
            out, err = await process.communicate()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        return Ended(process.returncode or 0, _documents(out), err.decode(errors="replace"))

    def _failure(self, ended: Ended) -> OrchestratorError:
        """What restic says, as one of our errors; damage is told apart from a repository that cannot be reached."""
        said = bounded(end_of(redacted(ended.said.strip(), self._secrets), 1_500), 1_500)
        details = {"restic": said, "exit_code": ended.code}
        if "wrong password" in ended.said:
            return OrchestratorError(
                ErrorCode.BACKUP_REFUSED,
                "The password does not open the repository of backups. Put the right one into the file of "
                "ORCHESTRATOR_BACKUP_PASSWORD_FILE.",
                details=details,
            )
        if any(sign in ended.said for sign in _AWAY):
            return OrchestratorError(
                ErrorCode.BACKUP_UNREACHABLE,
                f"The repository of backups at {self.shown} cannot be reached: {said}",
                error_class=ErrorClass.UPSTREAM,
            )
        if _is_absent(ended.said):
            return OrchestratorError(
                ErrorCode.BACKUP_UNREACHABLE,
                f"There is no repository of backups at {self.shown}. `orchestrator backup now` makes one.",
                details=details,
            )
        if _LOCKED in ended.said:
            return OrchestratorError.transient(
                ErrorCode.BACKUP_RUNNING, f"Somebody else is working in the repository of backups at {self.shown}."
            )
        if any(sign in ended.said for sign in _DAMAGED):
            return OrchestratorError(
                ErrorCode.BACKUP_DAMAGED,
                f"The repository of backups at {self.shown} is damaged, and nothing of it was used. Take another "
                "backup, or see `restic check` and `restic rebuild-index`.",
                details=details,
            )
        return OrchestratorError(ErrorCode.BACKUP_FAILED, f"restic ended with {ended.code}: {said}", details=details)

    @property
    def shown(self) -> str:
        """The location without what may be a name with a password in it."""
        return redacted(self.location, self._secrets)

    @property
    def _secrets(self) -> list[str]:
        return [value for name, value in self.variables.items() if name not in _PASSED and len(value) > 7]


def repository_of(settings: Settings) -> Repository:
    """The repository of these settings. Raises BACKUP_NOT_SET_UP with what is missing."""
    if settings.backup_repository is None:
        raise _not_set_up(
            "There is no repository of backups. Set ORCHESTRATOR_BACKUP_REPOSITORY to a directory on another disk, "
            "sftp:user@host:/path or s3:https://host/bucket, and ORCHESTRATOR_BACKUP_PASSWORD_FILE to a file with its "
            "password. Keep a copy of that file elsewhere: without it no backup can be read."
        )
    if settings.backup_password_file is None:
        raise _not_set_up("Backups are encrypted: set ORCHESTRATOR_BACKUP_PASSWORD_FILE to a file with a password.")
    password = private_files.read(settings.backup_password_file).strip()
    if len(password) < 8:
        raise _not_set_up(f"{settings.backup_password_file} must hold a password of at least 8 characters.")
    _program()
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    access = _access(settings.backup_access_file)
    ssh_options = shlex.split(access.pop(_SSH_OPTIONS, ""))
    return Repository(settings.backup_repository, {**passed, **access, "RESTIC_PASSWORD": password}, ssh_options)


def _access(file: Path | None) -> dict[str, str]:
    """Lines NAME=value of a private file, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""
    lines = private_files.read(file).splitlines() if file is not None else []
    pairs = [line.strip().partition("=") for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not all(name.isidentifier() and value for name, _, value in pairs):
        raise _not_set_up(f"{file} must hold lines NAME=value.")
    return {name: value.strip() for name, _, value in pairs}


def _is_absent(said: str) -> bool:
    """Whether restic has looked, and there is no repository."""
    other = ("wrong password", *_AWAY)
    return any(sign in said for sign in _NO_REPOSITORY) and not any(sign in said for sign in other)


def _ssh_command(location: str, options: Sequence[str]) -> str:
    """How restic reaches `sftp:user@host:/path` or `sftp://user@host:port//path`.

    Its own way would ask, and its option for more arguments is newer than the restic of Debian 12.
    """
    if location.startswith("sftp://"):
        parts = urlsplit(location)
        user, host, port = parts.username, parts.hostname or "", parts.port
    else:
        name = location.removeprefix("sftp:").partition(":")[0]
        user, _, host = name.rpartition("@")
        port = None
    where = [*(("-p", str(port)) if port else ()), *(("-l", user) if user else ()), "-s", "--", host, "sftp"]
    return shlex.join([*_SSH, *options, *where])


def _program() -> str:
    found = shutil.which("restic")
    if found is None:
        raise _not_set_up(f"Backups need the program restic, which is not installed. {HOW_TO_GET}")
    return found


def _not_set_up(message: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.BACKUP_NOT_SET_UP, message)


def _documents(out: bytes) -> list[dict[str, Any]]:
    """The JSON of its output: a document a line, or one list. Between them there may be lines for people."""
    found: list[dict[str, Any]] = []
    for line in out.decode(errors="replace").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        found += [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]
    return found
