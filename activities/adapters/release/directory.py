"""Release directories of one project: `services/<slug>/{releases/<release_id>, current, data}`.

Standard library only: servers import it. Every function may be killed anywhere and called again.
"""

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from activities.adapters.runs.states import RunAs
from activities.adapters.runs.trees import remove_tree
from activities.adapters.runs.unprivileged import UserTable, give
from contracts.errors import ErrorCode, OrchestratorError
from contracts.ids import directory_name

MANIFEST = "release.json"
"""Written last: a release directory without it is unfinished."""
SERVED = "served"
"""Marks a release that has answered at the public address: a rollback may return to it, and it is never removed."""
_OWNER = ".project"
USERS = ".users"
"""The table of users of a server, beside its projects."""


@dataclass(frozen=True)
class ProjectPlace:
    """Where one project lives on this server."""

    root: Path

    @property
    def slug(self) -> str:
        return self.root.name

    @property
    def project_id(self) -> str:
        """Whose it is."""
        return (self.root / _OWNER).read_text()

    @property
    def data(self) -> Path:
        """Survives every release."""
        return self.root / "data"

    @property
    def current(self) -> Path:
        return self.root / "current"

    @property
    def lock(self) -> Path:
        """Held by whoever changes the project."""
        return self.root / ".lock"

    @property
    def stopped(self) -> Path:
        """Exists while a person wants the project to stay stopped, also over a reboot."""
        return self.root / "stopped"

    def release(self, release_id: str) -> Path:
        return self.root / "releases" / release_id

    def scratch(self, release_id: str) -> Path:
        """DATA_DIR of a candidate, which must not touch live data."""
        return self.root / "candidates" / release_id


def claim_place(services_dir: Path, project_id: str, project_name: str) -> ProjectPlace:
    """The project's own directory, created on first use; a renamed project stays in its first one.

    Two owners may use one name: the second gets a suffix from the project id, always the same. A project also gets the
    suffix if something else has filled the directory of that name: removing the project must not remove that.
    """
    if (claimed := _claimed_place(services_dir, project_id)) is not None:
        return claimed
    slug = directory_name(project_name)
    suffix = hashlib.sha256(project_id.encode()).hexdigest()[:8]
    for root in (services_dir / slug, services_dir / f"{slug}_{suffix}"):
        if _is_foreign(root):
            continue
        services_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        root.mkdir(mode=0o700, exist_ok=True)
        draft = root / f"{_OWNER}.{secrets.token_hex(4)}"
        draft.write_text(project_id)
        try:
            os.link(draft, root / _OWNER)
        except FileExistsError:
            if (root / _OWNER).read_text() != project_id:
                continue
        finally:
            draft.unlink()
        return ProjectPlace(root)
    raise OrchestratorError(
        ErrorCode.CONFLICT, f"Something else already uses the directory of {slug}. Rename the project."
    )


def _is_foreign(root: Path) -> bool:
    """Whether the directory holds something that no project has put there."""
    if not os.path.lexists(root):
        return False
    if root.is_symlink() or not root.is_dir():
        return True
    names = os.listdir(root)
    return _OWNER not in names and not all(name.startswith(f"{_OWNER}.") for name in names)


def _claimed_place(services_dir: Path, project_id: str) -> ProjectPlace | None:
    for owner in services_dir.glob(f"[!.]*/{_OWNER}"):
        with suppress(FileNotFoundError):  # another project has just been removed
            if owner.read_text() == project_id:
                return ProjectPlace(owner.parent)
    return None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Blocks while another process holds `path`; the kernel frees the lock of a killed holder."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Older platforms left it open to all users, and whoever may open a file may hold it.
        os.fchmod(file, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def keep_private(place: ProjectPlace, user: RunAs | None) -> None:
    """Let only the platform and the project's own user into its directory. Mends what older platforms left open."""
    if user is not None:
        os.chown(place.root, -1, user.gid)
    place.root.chmod(0o700 if user is None else 0o750)
    if place.data.is_dir():
        place.data.chmod(0o700)


def make_data(directory: Path, user: RunAs | None) -> None:
    """A directory for what services write, with all that is in it: of their user, and for nobody else."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    give(directory, user)
    directory.chmod(0o700)


def service_user(place: ProjectPlace, services_dir: Path) -> RunAs:
    """The user of a project's services on this server."""
    return UserTable(services_dir / USERS, services_dir).claim(f"service-{place.project_id}", place.data)


def recorded_release(place: ProjectPlace, release_id: str, commit: str) -> dict[str, Any] | None:
    """The manifest of a finished release. Raises CONFLICT when it was made from another commit."""
    manifest = read_manifest(place, release_id)
    if manifest is not None and manifest["commit"] != commit:
        raise OrchestratorError(
            ErrorCode.CONFLICT, f"Release {release_id} already has another commit. Start a new deploy."
        )
    return manifest


def finish_release(place: ProjectPlace, release_id: str, manifest: dict[str, Any]) -> None:
    """Record what the release is; from now on it is complete."""
    write_private(place.release(release_id) / MANIFEST, json.dumps(manifest))


def read_manifest(place: ProjectPlace, release_id: str) -> dict[str, Any] | None:
    try:
        manifest: dict[str, Any] = json.loads((place.release(release_id) / MANIFEST).read_text())
    except FileNotFoundError:
        return None
    return manifest


def current_release(place: ProjectPlace) -> str | None:
    """The id of the release that `current` points to."""
    try:
        return Path(os.readlink(place.current)).name
    except FileNotFoundError:
        return None


def make_current(place: ProjectPlace, release_id: str) -> None:
    """Switch `current` in one atomic step, and mark the release as one that has been live."""
    (place.release(release_id) / SERVED).touch()
    draft = place.root / f".current.{secrets.token_hex(4)}"
    draft.symlink_to(Path("releases") / release_id)
    os.replace(draft, place.current)
    place.stopped.unlink(missing_ok=True)


def clear_unserved(place: ProjectPlace, release_id: str) -> None:
    """Remove the directory and the scratch data of a release that was never live."""
    remove_tree(place.scratch(release_id))
    release = place.release(release_id)
    if not (release / SERVED).exists():
        remove_tree(release)


def remove_place(place: ProjectPlace, services_dir: Path) -> Path | None:
    """Remove releases and environment files; move data to `.removed/<slug>-<time>` and return that path."""
    kept = None
    if place.data.is_dir() and any(place.data.iterdir()):
        removed = services_dir / ".removed"
        removed.mkdir(mode=0o700, exist_ok=True)
        kept = removed / f"{place.slug}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        os.rename(place.data, kept)
    # The mark of its owner goes last: a removal that was killed is finished by the next one.
    for path in place.root.iterdir():
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        elif path.name != _OWNER:
            path.unlink()
    remove_tree(place.root)
    return kept


def write_environment(place: ProjectPlace, release_id: str, service: str, values: dict[str, str]) -> None:
    """`NAME="value"` lines, readable for the platform only; values are JSON strings, so they may hold newlines."""
    directory = place.release(release_id) / "env"
    directory.mkdir(mode=0o700, exist_ok=True)
    lines = [f"{name}={json.dumps(value)}\n" for name, value in sorted(values.items())]
    write_private(directory / f"{service}.env", "".join(lines))


def read_environment(place: ProjectPlace, release_id: str, service: str) -> dict[str, str]:
    text = (place.release(release_id) / "env" / f"{service}.env").read_text()
    pairs = (line.split("=", 1) for line in text.splitlines())
    return {name: json.loads(value) for name, value in pairs}


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file atomically, with mode 0600 from its first byte."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
