"""Verdicts on the output of a project's checks."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from activities.adapters.packages.registry_access import registry_trouble
from activities.adapters.packages.requirements_check import UnsafeRequirement, plain_lines
from activities.adapters.verification.phases import Beside
from activities.adapters.verification.report import judge

FAILED = """collected 3 items
tests/test_a.py .F                       [ 66%]
E       assert 3 == 4
=========== short test summary info ===========
FAILED tests/test_a.py::test_adds - assert 3 == 4
==== 1 failed, 1 passed in 0.12s ====
make: *** [Makefile:30: test] Error 1
"""


def test_passed_tests_are_a_pass() -> None:
    verdict = judge("==== 12 passed in 0.31s ====\n", 0)
    assert (verdict.passed, verdict.failure_class, verdict.fingerprint) == (True, None, None)


@pytest.mark.parametrize("output", ["", "true\n", "0 passed\n", "no tests ran in 0.01s\n"])
def test_an_end_without_executed_tests_is_a_failure_of_the_code(output: str) -> None:
    verdict = judge(output, 0)
    assert (verdict.passed, verdict.failure_class) == (False, "code")
    assert "no test was executed" in verdict.evidence


def test_the_evidence_names_the_failing_tests_and_ends_with_the_output() -> None:
    verdict = judge("noise\n" * 10_000 + FAILED, 2)
    assert verdict.failure_class == "code"
    assert "tests/test_a.py::test_adds - assert 3 == 4" in verdict.evidence.split("End of the output:")[0]
    assert verdict.evidence.endswith("Error 1\n")
    assert len(verdict.evidence) <= 8_000


def test_the_same_failure_has_the_same_fingerprint_whatever_numbers_paths_and_times_say() -> None:
    one = judge("FAILED t.py::test_a - OSError: /tmp/x-1/y.db at 2026-01-01 10:00:00 took 0.1s 0x7f12\n", 2)
    two = judge("later\nFAILED t.py::test_a - OSError: /var/z/y.db at 2027-02-03 11:11:11 took 9.7s 0x9e44\n", 2)
    other = judge("FAILED t.py::test_b - OSError: y.db\n", 2)
    assert one.fingerprint == two.fingerprint
    assert one.fingerprint != other.fingerprint


def test_the_order_of_failing_tests_does_not_matter() -> None:
    assert judge("FAILED a::x\nFAILED b::y\n", 2).fingerprint == judge("FAILED b::y\nFAILED a::x\n", 2).fingerprint


def test_lint_errors_differ_by_what_they_say() -> None:
    unused = judge("a.py:1:8: F401 `os` imported but unused\nmake: *** [Makefile:25: check] Error 1\n", 2)
    moved = judge("a.py:7:8: F401 `os` imported but unused\nmake: *** [Makefile:25: check] Error 1\n", 2)
    undefined = judge("a.py:1:8: F821 Undefined name `x`\nmake: *** [Makefile:25: check] Error 1\n", 2)
    assert unused.fingerprint == moved.fingerprint != undefined.fingerprint


@pytest.mark.parametrize(
    ("output", "exit_code"),
    [
        ("make: *** [Makefile:30: test] Killed\n", 2),
        ("make: *** [Makefile:30: test] Error 137\n", 2),
        ("", -9),
        ("OSError: [Errno 28] No space left on device\n", 74),
        ("ERROR: No matching distribution found for ruff==0.1\n", 2),
        ("pip: Temporary failure in name resolution\n", 2),
    ],
)
def test_trouble_of_the_machine_is_not_the_developers(output: str, exit_code: int) -> None:
    assert judge(output, exit_code, Beside("setup")).failure_class == "infrastructure"


def test_a_red_test_that_speaks_of_connections_is_code() -> None:
    assert (
        judge("Connection refused\nFAILED t.py::test_a - ConnectionError: Connection refused\n", 2).failure_class
        == "code"
    )


def test_a_version_that_the_registry_does_not_have_is_code_and_an_empty_answer_is_not() -> None:
    text = (
        "ERROR: Could not find a version that satisfies the requirement x==9 (from versions: {})\n"
        "ERROR: No matching distribution found for x==9\n"
    )
    assert not registry_trouble(text.format("1.0, 1.1"))
    assert registry_trouble(text.format("none"))


@pytest.mark.parametrize(
    ("uv_says", "machine"),
    [
        ("error: Failed to fetch: http://a/idna/\n  cause: dns error\n", True),
        ("  cause: Because idna was not found in the package registry and you require idna==3.20, we\n", True),
        ("  cause: Because there is no version of idna==0.0.0.1 and you require idna==0.0.0.1, we\n", False),
    ],
)
def test_uv_s_words_are_told_apart_in_the_same_way(uv_says: str, machine: bool) -> None:
    assert registry_trouble(uv_says) is machine


def test_checks_that_were_stopped_for_time_say_so() -> None:
    verdict = judge("collecting\n", -15, timed_out=True, timeout_s=60)
    assert verdict.failure_class == "code"
    assert "within 60 s" in verdict.evidence


def test_control_characters_never_reach_the_evidence() -> None:
    assert "\x00" not in judge("FAILED a::b\x00\x1b[31m\n", 2).evidence


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("fastapi==0.1", ["fastapi==0.1"]),
        ("a[b,c]>=1,<2", ["a[b,c]>=1,<2"]),
        ("x ~= 1.0 ; python_version < '4'", ["x ~= 1.0 ; python_version < '4'"]),
        ("# note", []),
        ("", []),
        ("y==1 --hash=sha256:ab", ["y==1 --hash=sha256:ab"]),
        (
            "x==1 \\\r\n  --hash=sha256:ab \\\r\n  --hash=sha256:cd  # via y\r",
            ["x==1 --hash=sha256:ab --hash=sha256:cd"],
        ),
        ("\ufeffidna ~=3.0 , !=3.1;(os_name != 'x-y')", ["idna ~=3.0 , !=3.1;(os_name != 'x-y')"]),
        ("z==1 \\\n  --hash=sha256:ab", ["z==1 --hash=sha256:ab"]),
        # What one installer continues and another does not, and what one of them decodes, reaches neither.
        ("# C:\\dir\\\nrequests", ["requests"]),
        ("idna # x \\\n--extra-index-url http://evil/", ["idna"]),
        ("# coding: utf-7\n# +AAo---extra-index-url http://evil/\nidna", ["idna"]),
    ],
)
def test_names_with_versions_may_be_installed(tmp_path: Path, text: str, lines: list[str]) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(f"{text}\n")
    assert plain_lines(file) == lines


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "./evil",
        "git+https://h/x",
        "x @ https://h/x.whl",
        "--index-url https://h",
        "-r other",
        "--no-binary :all:",
        "/a.whl",
        "x==1 --config-settings=a=b",
        "x==1 ; python_version > '3' --index-url https://h",
        "n\u00e4me==1",
        "x ; ${PIP_INDEX_URL}",
        "x == -r",
        "y==1--hash=sha256:ab",
        "# note \r-e ./evil",
    ],
)
def test_whatever_else_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "requirements.txt"
    file.write_bytes(f"fine==1\n{line}\n".encode())
    with pytest.raises(UnsafeRequirement) as refused:
        plain_lines(file)
    assert str(refused.value) == line.rpartition("\r")[2]


@pytest.mark.parametrize(
    "line", ["x" + "==1   " * 60 + "?", "x;" + " " * 100_000 + "@", "x" + " " * 100_000 + "==" + "-"]
)
def test_no_line_takes_long_to_refuse(tmp_path: Path, line: str) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(line)
    began = time.process_time()
    with pytest.raises(UnsafeRequirement):
        plain_lines(file)
    assert time.process_time() - began < 5, "linear: milliseconds; anything else: minutes and more"


@pytest.mark.parametrize("hidden", ["-e ./evil", "--extra-index-url http://evil/"])
def test_a_line_after_a_comment_is_a_line(tmp_path: Path, hidden: str) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(f"# note \\\n{hidden}\n")
    with pytest.raises(UnsafeRequirement, match=hidden):
        plain_lines(file)


def test_a_link_to_another_file_is_refused_and_not_quoted(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root:x")
    file = tmp_path / "requirements.txt"
    file.symlink_to(secret)
    with pytest.raises(UnsafeRequirement, match="symbolic link"):
        plain_lines(file)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
def test_requirements_in_another_encoding_are_read(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "requirements.txt"
    file.write_bytes("idna==3.7\n".encode(encoding))
    assert plain_lines(file) == ["idna==3.7"]


@pytest.mark.parametrize("content", ["idna\n".encode("utf-16-le"), b"idna\0\n", b"\xff\xfei"])
def test_requirements_that_are_no_text_are_refused_without_a_nul(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "requirements.txt"
    file.write_bytes(content)
    with pytest.raises(UnsafeRequirement, match="save it as UTF-8"):
        plain_lines(file)
