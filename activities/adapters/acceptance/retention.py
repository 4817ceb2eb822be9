"""What acceptance leaves on this machine: results, and locks of runs. A place is removed with its run."""

from pathlib import Path


def prune_results(directory: Path, before: float) -> list[str]:
    """Remove those from before then; their names. Whoever asks again has the commit checked again."""
    pruned = []
    for file in (*directory.glob("*.json"), *directory.glob(".locks/accept-*.lock")):
        if file.lstat().st_mtime < before:
            file.unlink(missing_ok=True)
            pruned.append(file.name)
    return sorted(pruned)
