"""What runs of containers leave on this machine: verdicts on tests and wishes, what judges have answered, and locks of
runs that are forgotten."""

from pathlib import Path

_VERDICTS = ("verifications", "acceptances", "answers")


def prune_records(containers_dir: Path, before: float) -> list[str]:
    """Remove those from before then; their names. What a run still has stays, whatever its age."""
    runs = containers_dir / "runs"
    verdicts = (file for kind in _VERDICTS for file in containers_dir.glob(f"{kind}/*.json"))
    locks = (lock for lock in runs.glob(".locks/*.lock") if not (runs / f"{lock.stem}.json").exists())
    pruned = []
    for file in (*verdicts, *locks):
        if file.lstat().st_mtime < before:
            file.unlink(missing_ok=True)
            pruned.append(file.name)
    return sorted(pruned)
