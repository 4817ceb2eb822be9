"""What leaves this machine for a server: the release program, the context of a build, how to reach registries."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from activities.adapters.packages.pip_settings import parse_pip_settings
from activities.adapters.packages.registry_access import registry_files_of
from activities.adapters.playbooks.release_kit import release_kit
from activities.adapters.release.build_context import build_context
from contracts.errors import OrchestratorError
from tests.support.services.sample_service import SampleProject


def names_in(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as file:
        return file.getnames()


def test_the_release_program_needs_nothing_but_python(tmp_path: Path) -> None:
    program = tmp_path / "release"
    with tarfile.open(fileobj=io.BytesIO(release_kit().content)) as archive:
        archive.extractall(program, filter="data")
    load = f"import sys; sys.path[:0] = [{str(program)!r}]; import activities.adapters.release.containers as steps"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"{load}; print(steps.__file__)"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(program))


async def test_the_context_is_the_commit_whatever_its_attributes_say(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, 1)
    commit = project.commit("v1", Dockerfile="FROM x\n", hidden="kept", __gitattributes="hidden export-ignore\n")
    first = await build_context(project.git_dir, commit, {".registry/pip.conf": "[global]\n"})
    assert {"Dockerfile", "backend.py", "hidden", ".registry/pip.conf"} <= set(names_in(first))
    assert first == await build_context(project.git_dir, commit, {".registry/pip.conf": "[global]\n"})


async def test_a_commit_without_a_dockerfile_is_refused_with_what_to_do(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, 1)
    commit = project.commit("v1")
    with pytest.raises(OrchestratorError, match="There is no Dockerfile"):
        await build_context(project.git_dir, commit, {})


def test_a_machine_with_an_ordinary_index_sends_nothing() -> None:
    assert registry_files_of({}, {}) == {}


def test_an_index_and_certificates_are_sent_and_local_directories_are_not(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("CERTIFICATE")
    listing = (
        "global.index-url='https://packages.example.org/simple'\n"
        "global.extra-index-url='file:///srv/wheels https://more.example.org/simple'\n"
        "global.find-links='/srv/wheels'\n"
        f":env:.cert='{bundle}'\n"
        "global.cert='/nowhere'\n"
    )
    files = registry_files_of(parse_pip_settings(listing), {})
    assert files[".registry/ca.crt"] == "CERTIFICATE"
    assert files[".registry/pip.conf"].splitlines() == [
        "[global]",
        "cert = /build/ca.crt",
        "extra-index-url = https://more.example.org/simple",
        "index-url = https://packages.example.org/simple",
    ]
