"""What of this machine's package configuration goes into a container that installs packages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from activities.adapters.containers.installer_access import InstallerAccess, _copied, _paths, installer_access
from activities.adapters.packages import registry_access
from activities.adapters.packages.pip_settings import INSTALLER_VARIABLES
from contracts.errors import ErrorCode, OrchestratorError


def test_local_paths_are_found_in_lists_and_file_addresses(tmp_path: Path) -> None:
    index, wheels = tmp_path / "index" / "simple", tmp_path / "wheels"
    index.mkdir(parents=True)
    wheels.mkdir()
    assert _paths("UV_FIND_LINKS", f"{wheels},http://x/,/does/not/exist") == [wheels]
    assert _paths("UV_INDEX", f"file://{index} relative") == [index.parent]


def test_the_root_and_its_top_level_directories_never_go_in() -> None:
    assert _paths("UV_FIND_LINKS", "/ /etc file:///usr") == []


def test_a_certificate_is_copied_since_the_engine_may_not_see_our_files(tmp_path: Path) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.write_text("trusted")
    given = {"PIP_CERT": str(certificate), "SSL_CERT_FILE": str(certificate), "UV_DEFAULT_INDEX": "http://index/"}
    variables, files = _copied(given, "/home/worker")
    assert list(files.values()) == [b"trusted"]
    (copy,) = files
    assert variables == {**given, "PIP_CERT": f"/home/worker/{copy}", "SSL_CERT_FILE": f"/home/worker/{copy}"}


async def _access(monkeypatch: pytest.MonkeyPatch, pip: dict[str, str], **own: str) -> InstallerAccess:
    monkeypatch.setattr(registry_access, "pip_settings", lambda: pip)
    for name in [name for name in os.environ if name.upper().startswith(INSTALLER_VARIABLES)]:
        monkeypatch.delenv(name)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    return await installer_access("/home/worker")


async def test_a_setting_that_uv_cannot_be_told_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OrchestratorError, match="pip's setting `global-option`") as caught:
        await _access(monkeypatch, {"global-option": "x"})
    assert caught.value.code is ErrorCode.SETTINGS_INVALID


async def test_uv_in_the_container_gets_the_sources_and_nothing_about_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.write_text("trusted")
    told = {"cert": str(certificate), "index-url": "http://index/", "target": "/opt/x", "quiet": "1"}
    access = await _access(
        monkeypatch, told, HOME=str(tmp_path), UV_CACHE_DIR="/here", PIP_CERT=str(certificate), https_proxy="http://p"
    )
    (copy,) = access.files
    assert access.environment == {
        "SSL_CERT_FILE": f"/home/worker/{copy}",
        "UV_DEFAULT_INDEX": "http://index/",
        "https_proxy": "http://p",
    }


async def test_passwords_of_the_user_s_netrc_go_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine index login me password word")
    access = await _access(monkeypatch, {}, HOME=str(tmp_path))
    (copy,) = access.files
    assert access.environment == {"NETRC": f"/home/worker/{copy}"}
    assert access.files[copy] == b"machine index login me password word"
