"""What runs of containers leave on this machine: verdicts on tests and wishes, and locks of runs that are forgotten."""

from pathlib import Path


def prune_records(containers_dir: Path, before: float) -> list[str]:
    """Remove those from before then; their names. What a run still has stays, whatever its age."""
    runs = containers_dir / "runs"
    verdicts = (*containers_dir.glob("verifications/*.json"), *containers_dir.glob("acceptances/*.json"))
    locks = (lock for lock in runs.glob(".locks/*.lock") if not (runs / f"{lock.stem}.json").exists())
    pruned = []
    for file in (*verdicts, *locks):
        if file.lstat().st_mtime < before:
            file.unlink(missing_ok=True)
            pruned.append(file.name)
    return sorted(pruned)
