"""What a step writes beside its result is gone with the step, also when its process was killed."""

import asyncio
import sys
from pathlib import Path

from activities.adapters.containers.engine import DockerContainerEngine
from activities.adapters.containers.runs import ContainerRuns
from activities.adapters.forge.git import temporary_directory
from tests.support.eventually import eventually

_HOLDER = """
import asyncio, sys, time
from pathlib import Path
from activities.adapters.forge.git import temporary_directory

async def main():
    async with temporary_directory(Path(sys.argv[1])) as directory:
        (directory / "file").write_text("half")
        time.sleep(600)

asyncio.run(main())
"""


def directories(parent: Path) -> set[Path]:
    return {one for one in parent.iterdir() if one.is_dir()}


async def test_the_directory_of_a_killed_step_goes_with_the_next_one_and_those_in_use_stay(tmp_path: Path) -> None:
    drafts = tmp_path / "drafts"
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", _HOLDER, str(drafts))
    try:
        await eventually(lambda: list(drafts.glob("*/file")))
        async with temporary_directory(tmp_path / "drafts") as mine:
            assert len(directories(drafts)) == 2
            holder.kill()
            await holder.wait()
            async with temporary_directory(tmp_path / "drafts") as another:
                assert directories(drafts) == {mine, another}
    finally:
        if holder.returncode is None:
            holder.kill()
            await holder.wait()
    assert directories(drafts) == set()


async def test_concurrent_users_keep_their_own_directories(tmp_path: Path) -> None:
    drafts = tmp_path / "drafts"

    async def one() -> bool:
        async with temporary_directory(tmp_path / "drafts") as directory:
            await asyncio.sleep(0.01)
            return directory.exists()

    assert all(await asyncio.gather(*(one() for _ in range(20))))
    assert directories(drafts) == set()


async def test_the_copy_of_a_run_s_output_has_no_name_that_could_be_left(tmp_path: Path) -> None:
    runs = ContainerRuns(DockerContainerEngine(), tmp_path)
    async with runs.output("turn-1") as output:
        assert list((tmp_path / ".output").iterdir()) == []
        output._log.write(b"some output")
        assert output.read_output("turn-1", 5) == (b"output", 11)
