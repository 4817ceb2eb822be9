"""The base image of containers: got where an engine answers and lacks it, never a reason to stop."""

from pathlib import Path

import pytest

from cli.host import images
from cli.host.parts import Parts
from cli.terminal.output import Output
from runtime.settings import Settings

ENGINE = """#!/bin/sh
echo "$@" >> {calls}
case "$1" in
  version) exit {answers} ;;
  image) test -e {image} ;;
  pull) {pull} ;;
esac
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "logs").mkdir(parents=True)
    return tmp_path / "home"


def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, answers: bool = True, pull: str = "exit 1") -> Path:
    """A program `docker` that writes its calls down; the image is there when `image` exists."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        ENGINE.format(calls=tmp_path / "calls", answers=int(not answers), image=tmp_path / "image", pull=pull)
    )
    program.chmod(0o755)
    # Nothing else than these programs: no debootstrap, whatever this machine has.
    for name in ("bash", "sh", "timeout", "id"):
        (program.parent / name).symlink_to(Path("/usr/bin") / name)
    monkeypatch.setenv("PATH", str(program.parent))
    for variable in ("CI", "DOCKER"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "calls"


async def got(home: Path, capsys: pytest.CaptureFixture[str], runtime: str = "auto") -> str:
    await images.get_base_image(Parts(Settings(home=home, runtime=runtime)), Output(as_json=False))
    return capsys.readouterr().out


async def test_a_missing_image_is_got_and_said(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = engine(tmp_path, monkeypatch, pull=f": > {tmp_path}/image")
    assert "downloading debian:bookworm-slim" in await got(home, capsys)
    assert "pull --quiet debian:bookworm-slim" in calls.read_text()
    assert (tmp_path / "image").exists()


async def test_an_image_that_cannot_be_had_is_said_with_the_reason_and_stops_nothing(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(tmp_path, monkeypatch)
    said = await got(home, capsys)
    assert "no containers are used" in said
    assert "debootstrap is missing" in said


@pytest.mark.parametrize(("runtime", "answers"), [("process", True), ("auto", False)])
async def test_nothing_is_got_where_containers_are_not_used(
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    runtime: str,
    answers: bool,
) -> None:
    calls = engine(tmp_path, monkeypatch, answers=answers)
    assert await got(home, capsys, runtime) == ""
    assert "pull" not in (calls.read_text() if calls.exists() else "")
