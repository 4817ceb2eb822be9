"""What of this machine's package configuration goes into a container that installs packages."""

from __future__ import annotations

from pathlib import Path

from activities.adapters.installer_access import _configured, _copied, _paths


def test_the_sources_of_packages_are_taken_and_their_destinations_are_not() -> None:
    listing = "global.cert='/etc/ca.pem'\nglobal.target='/opt/x'\ninstall.find-links='/wheels'\n:env:.user='1'"
    assert _configured(listing) == {"PIP_CERT": "/etc/ca.pem", "PIP_FIND_LINKS": "/wheels"}


def test_a_variable_wins_over_a_file_and_a_value_may_hold_an_equals_sign() -> None:
    listing = ":env:.index_url='http://a/?x=1'\nglobal.index-url='http://b/'"
    assert _configured(listing) == {"PIP_INDEX_URL": "http://a/?x=1"}


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
