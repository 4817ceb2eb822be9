"""Old releases: what was built for them goes, what is known of them stays. Standard library only: servers import it.

Where services are processes, such a release is built again from its commit when somebody rolls back to it. An image is
never the same again, so where they are containers its commit is deployed as a new release.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from activities.adapters.release import directory
from activities.adapters.release.directory import MANIFEST, SERVED, ProjectPlace
from activities.adapters.runs.trees import remove_tree


def prune_releases(services_dir: Path, keep: int) -> list[str]:
    """Keep the `keep` newest releases of each project that were ever live, the current one among them; the others are
    named `<project>/<release>`. A project that is being changed is left for the next time."""
    pruned = []
    for place in _places(services_dir):
        with _held(place.lock) as held:
            if held:
                pruned += [f"{place.slug}/{name}" for name in old(place, keep) if forget(place.release(name))]
    return pruned


def environments_in_use(services_dir: Path) -> set[Path]:
    """The environments of all releases that are built."""
    found = set()
    for place in _places(services_dir):
        for release in (place.root / "releases").glob("*/"):
            manifest = directory.read_manifest(place, release.name)
            if manifest is not None and manifest["venv"]:
                found.add(Path(manifest["venv"]))
    return found


def _places(services_dir: Path) -> list[ProjectPlace]:
    return [ProjectPlace(path.parent) for path in sorted(services_dir.glob("[!.]*/releases"))]


def old(place: ProjectPlace, keep: int) -> list[str]:
    """The releases that were live and are not among the `keep` newest of these, newest first."""
    current = directory.current_release(place)
    # The mark is touched each time that its release goes live.
    served = sorted((place.root / "releases").glob(f"*/{SERVED}"), key=lambda mark: mark.stat().st_mtime, reverse=True)
    others = [mark.parent.name for mark in served if mark.parent.name != current]
    return others[keep - (current is not None) :]


def forget(release: Path) -> bool:
    """The manifest goes first: a release without one is unfinished, whatever is left of it. Its mark stays, because a
    release that was live is not migrated again."""
    if not (release / MANIFEST).exists():
        return False
    (release / MANIFEST).unlink()
    for content in release.iterdir():
        if content.is_dir() and not content.is_symlink():
            remove_tree(content)
        elif content.name != SERVED:
            content.unlink()
    return True


@contextmanager
def _held(lock: Path) -> Iterator[bool]:
    """Whether the lock is ours; nobody is waited for."""
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(file)
