"""The volume that an engine starts with: a complete copy of one that another engine has filled, or none.

`image` is any with a shell and coreutils.
"""

from activities.adapters.containers import command as docker

_READY = ".orchestrator-ready"
_UNFINISHED = ".orchestrator-unfinished"
# Removed last: files that were left over without it would be taken for an engine's own.
_EMPTY = f"touch {_UNFINISHED} && find . -mindepth 1 ! -path ./{_UNFINISHED} -delete"
_IN_USE = f'[ -n "$(ls -A)" ] && [ ! -e {_UNFINISHED} ]'
_COPY = f"cd /to && {{ {_IN_USE} || {{ {_EMPTY} && cp -a /from/. . && rm -f {_READY} {_UNFINISHED}; }}; }}"
_CLEAN = f"cd /to && {{ {_IN_USE} || {{ {_EMPTY} && rm -f {_UNFINISHED}; }}; }}"
_COPY_S = 300.0


async def mark_ready(volume: str, image: str) -> None:
    """Mark the volume as complete. Its engine must have ended."""
    await _run(volume, image, "--volume", f"{volume}:/to", script=f"touch /to/{_READY}")


async def is_ready(volume: str, image: str) -> bool:
    if (await docker.try_run("volume", "inspect", volume)).code != 0:
        return False
    look = ("run", "--rm", "--network", "none", "--volume", f"{volume}:/from:ro", image)
    return (await docker.try_run(*look, "test", "-e", f"/from/{_READY}")).code == 0


async def copy_volume(source: str, target: str, image: str) -> None:
    """Copy `source` to `target`. A target that an engine has used stays; an incomplete copy is replaced."""
    # Layers have marks (trusted.*) that only an administrator may set.
    volumes = ("--cap-add", "SYS_ADMIN", "--volume", f"{source}:/from:ro", "--volume", f"{target}:/to")
    await _run(target, image, *volumes, script=_COPY)


async def remove_half_copy(target: str, image: str) -> None:
    """Remove an incomplete copy, so that an engine may start with `target`, empty or as it was."""
    await _run(target, image, "--volume", f"{target}:/to", script=_CLEAN)


async def remove_volume(volume: str) -> None:
    """Remove the volume and what may still be filling it. Repeatable."""
    await docker.try_run("rm", "--force", _filler(volume))
    await docker.try_run("volume", "rm", "--force", volume)


def _filler(volume: str) -> str:
    return f"{volume}-filling"


async def _run(volume: str, image: str, *options: str, script: str) -> None:
    # One whose caller was killed may be at work still.
    await docker.try_run("rm", "--force", _filler(volume))
    run = ("run", "--rm", "--name", _filler(volume), "--network", "none", *options, image, "sh", "-c", script)
    await docker.run(*run, timeout_s=_COPY_S)
