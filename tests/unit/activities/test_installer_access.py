"""What of this machine's package configuration goes into a container that installs packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from activities.adapters.containers import installer_access as installer
from activities.adapters.containers.installer_access import _copied, _paths


def test_local_paths_are_found_in_lists_and_file_addresses(tmp_path: Path) -> None:
    index, wheels = tmp_path / "index" / "simple", tmp_path / "wheels"
    index.mkdir(parents=True)
    wheels.mkdir()
    assert _paths("PIP_FIND_LINKS", f"{wheels} http://x/ /does/not/exist") == [wheels]
    assert _paths("PIP_EXTRA_INDEX_URL", f"file://{index} relative") == [index.parent]


def test_the_root_and_its_top_level_directories_never_go_in() -> None:
    assert _paths("PIP_FIND_LINKS", "/ /etc file:///usr") == []


def test_a_certificate_is_copied_since_the_engine_may_not_see_our_files(tmp_path: Path) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.write_text("trusted")
    given = {"PIP_CERT": str(certificate), "SSL_CERT_FILE": str(certificate), "PIP_INDEX_URL": "http://index/"}
    variables, files = _copied(given, "/home/worker")
    assert list(files.values()) == [b"trusted"]
    (copy,) = files
    assert variables == {**given, "PIP_CERT": f"/home/worker/{copy}", "SSL_CERT_FILE": f"/home/worker/{copy}"}


async def _access(monkeypatch: pytest.MonkeyPatch, told: dict[str, str] | None) -> installer.InstallerAccess:
    monkeypatch.setattr(installer, "pip_settings", lambda: told)
    for name in installer._VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return await installer.installer_access("/home/worker")


async def test_where_uv_must_not_be_asked_the_container_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    access = await _access(monkeypatch, {"no-index": "1", "target": "/opt/x"})
    assert access.environment == {"PIP_NO_INDEX": "1", installer.PIP_ONLY: "1"}
    assert (await _access(monkeypatch, None)).environment == {installer.PIP_ONLY: "1"}


async def test_pip_and_uv_in_the_container_get_the_same_sources_and_no_destination(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.write_text("trusted")
    told = {"cert": str(certificate), "index-url": "http://index/", "constraint": "/here.txt", "quiet": "1"}
    access = await _access(monkeypatch, told)
    (copy,) = access.files
    assert access.environment == {
        "PIP_CERT": f"/home/worker/{copy}",
        "PIP_INDEX_URL": "http://index/",
        "SSL_CERT_FILE": f"/home/worker/{copy}",
        "UV_DEFAULT_INDEX": "http://index/",
    }
