"""What uses the disk of an installation, and by which rule it goes again."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contracts.wording import counted
from runtime.settings import Settings

_PATIENCE_S = 1.0
"""For each kind: a home with millions of files is not worth a minute."""


@dataclass(frozen=True)
class Used:
    """`megabytes` in `entries` things; `whole` is False when there was no time to count all. `rule` says what goes."""

    name: str
    megabytes: int
    entries: int
    rule: str
    whole: bool = True

    @property
    def shown(self) -> str:
        at_least = "" if self.whole else "at least "
        return f"{at_least}{self.megabytes} MB in {self.entries}"


def usage(settings: Settings) -> list[Used]:
    """Each kind of data below the home. Blocks while it reads directories."""
    days = counted(settings.keep_days, "day")
    kept, home = f"those that ended {days} ago go", settings.home
    kinds = (
        ("releases", "*/releases/*", settings.services_dir, f"the newest {settings.keep_releases} of a project stay"),
        ("data of services", "*/data", settings.services_dir, "stays"),
        ("data of removed projects", ".removed/*", settings.services_dir, "stays; remove it yourself"),
        ("environments", "*", home / "caches" / "venvs", f"go when unused for {days}"),
        ("package cache", "*", home / "caches" / "uv", "stays; may be removed at any time"),
        ("repositories", "*/*", settings.forge_dir, f"stay; branches of tasks go {days} after "
         "they have reached main"),
        ("workspaces and homes of agents", "*/*", settings.agents_dir, "go with their agents"),
        ("run records", "*", settings.runs_dir, kept),
        ("records of containers", "*/*", settings.containers_dir, kept),
        ("artifacts", "*/*", settings.artifacts_dir, "go by the setting retention_days"),
        ("logs", "*", settings.logs_dir, "the newest 80 MB of each part stay"),
        ("PostgreSQL", "", settings.postgres_dir, "stays"),
        ("Temporal", "", settings.temporal_db_file.parent, "finished workflows go after 30 days"),
    )  # fmt: skip
    found = [_used(name, pattern, root, rule) for name, pattern, root, rule in kinds if root.is_dir()]
    return [one for one in found if one.entries]


def _used(name: str, pattern: str, root: Path, rule: str) -> Used:
    entries = list(root.glob(pattern)) if pattern else [root]
    until, size = time.monotonic() + _PATIENCE_S, 0
    for one in entries:
        for blocks in _blocks(one):
            size += blocks * 512
            if time.monotonic() > until:
                return Used(name, size // 1_000_000, len(entries), rule, whole=False)
    return Used(name, size // 1_000_000, len(entries), rule)


def _blocks(path: Path) -> Iterator[int]:
    """Of the thing and everything in it; what vanishes meanwhile, or may not be read, counts as nothing."""
    try:
        yield path.lstat().st_blocks
        if path.is_symlink() or not path.is_dir():
            return
        for folder, directories, files in os.walk(path):
            for name in (*directories, *files):
                yield _own_blocks(os.path.join(folder, name))
    except OSError:
        return


def _own_blocks(path: str) -> int:
    try:
        return os.lstat(path).st_blocks
    except OSError:
        return 0
