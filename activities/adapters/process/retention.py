"""Homes of agents that are gone."""

from pathlib import Path

from activities.adapters.runs.trees import remove_tree
from activities.adapters.runs.users import UnprivilegedUsers


def remove_homes(homes_dir: Path, workspaces_dir: Path, before: float, users: UnprivilegedUsers) -> list[str]:
    """Remove what agents kept for themselves (sessions, caches) once their workspace is gone and nothing was written
    since `before`, a time in seconds; their users are free for others then."""
    removed = []
    for home in sorted(homes_dir.glob("[!.]*/")):
        if (workspaces_dir / home.name).exists() or home.stat().st_mtime >= before:
            continue
        remove_tree(home)
        if not home.exists():
            users.release(home.name)
            removed.append(home.name)
    return removed
