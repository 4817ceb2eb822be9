"""A script in a container of an image that is being made: without a network, as the user of agents."""

from __future__ import annotations

from dataclasses import dataclass

from activities.adapters.containers.engine import ContainerSpec, DockerContainerEngine, Limits
from contracts.errors import end_of

_MAX_OUTPUT = 64 * 1024


@dataclass(frozen=True)
class Trial:
    """`code` is None if the script did not end by itself in its time, or could not be started."""

    code: int | None
    output: str = ""


async def tried(
    engine: DockerContainerEngine, name: str, image: str, script: str, timeout_s: float, keep_as: str | None = None
) -> Trial:
    """Run the script. A container of that name which was left behind is removed first, and this one at the end.

    With `keep_as` what a successful script has written becomes the image of that tag.
    """
    await engine.remove(name)
    argv = ["/usr/bin/timeout", "--kill-after=5", str(round(timeout_s)), "/bin/sh", "-ec", script]
    await engine.create(ContainerSpec(name, image, argv, environment={"TMPDIR": "/tmp"}, limits=Limits()))
    try:
        started = await engine.start(name)
        ended = await engine.wait(name, timeout_s + 15)
        state = await engine.inspect(name)
        said = _End()
        await engine.copy_output(name, 0, said.write, follow=False)
        code = state.exit_code if started and ended and state is not None else None
        if keep_as is not None and code == 0:
            await engine.commit(name, keep_as)
    finally:
        await engine.remove(name)
    return Trial(code, end_of(said.text(), _MAX_OUTPUT))


class _End:
    """The end of what is written: a script may print without end."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def write(self, chunk: bytes) -> None:
        self._kept += chunk
        del self._kept[:-_MAX_OUTPUT]

    def text(self) -> str:
        return self._kept.decode(errors="replace")
