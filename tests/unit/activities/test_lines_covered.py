"""The covered lines that a tested project writes down: its own figure, and never a reason to fail."""

import tracemalloc

import pytest

from activities.adapters.verification.coverage import MAX_COVERAGE, read_lines_covered
from activities.adapters.verification.phases import Beside, argv_of

REPORT = b'<testsuites><testsuite><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite></testsuites>'


@pytest.mark.parametrize(
    ("attributes", "permille"),
    [
        ('lines-valid="548" lines-covered="392" line-rate="0.7153"', 715),
        ('lines-valid="3" lines-covered="0"', 0),
        ('lines-valid="1000" lines-covered="1000"', 1000),
        ('lines-valid="1000000" lines-covered="999999"', 999),
        ('line-rate="0.8759"', 875),
        ('line-rate="1"', 1000),
        ('line-rate="0.5"', 500),
    ],
)
def test_the_share_of_covered_lines_is_rounded_down(attributes: str, permille: int) -> None:
    written = f'\ufeff<?xml version="1.0" ?>\n<coverage version="7" {attributes}><!-- x --><packages/></coverage>'
    assert read_lines_covered(written.encode()) == permille


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"87 %",
        b"<coverage/>",
        b'<coverage lines-valid="2" lines-covered="1">',
        b'<testsuites lines-valid="2" lines-covered="1"/>',
        b'<a><coverage lines-valid="2" lines-covered="1"/></a>',
        b'<coverage lines-valid="0" lines-covered="0" line-rate="1"/>',
        b'<coverage lines-valid="2" lines-covered="3"/>',
        b'<coverage lines-valid="-2" lines-covered="-3"/>',
        b'<coverage lines-valid="2" lines-covered="x" line-rate="0.5"/>',
        '<coverage lines-valid="٢" lines-covered="١"/>'.encode(),
        b'<coverage lines-valid="' + b"9" * 100_000 + b'" lines-covered="1"/>',
        b'<coverage line-rate="nan"/>',
        b'<coverage line-rate="1e-1"/>',
        b'<coverage line-rate="1.5"/>',
        b'<!DOCTYPE coverage [<!ENTITY a "b">]><coverage lines-valid="2" lines-covered="1">&a;</coverage>',
        '<coverage lines-valid="2" lines-covered="1"/>'.encode("utf-16"),
        b'<coverage lines-valid="2" lines-covered="1"/>' + b" " * MAX_COVERAGE,
        b"<a>" * 1_000_000,
    ],
    ids=lambda content: str(content)[:40],
)
def test_what_is_no_such_report_is_not_known(content: bytes | None) -> None:
    assert read_lines_covered(content) is None


def test_of_many_lines_none_is_kept() -> None:
    line = b'<line number="1" hits="1"/>'
    content = b'<coverage lines-valid="2" lines-covered="1">' + line * (MAX_COVERAGE // 30) + b"</coverage>"
    tracemalloc.start()
    try:
        assert read_lines_covered(content) == 500
        assert tracemalloc.get_traced_memory()[1] < 4 * len(content)
    finally:
        tracemalloc.stop()


def test_tests_and_lines_are_known_each_without_the_other() -> None:
    covered = b'<coverage lines-valid="8" lines-covered="7"/>'
    both = Beside.of(b"test", REPORT, covered).figures
    assert both is not None
    assert both.told() == "1 test, 87 % of lines covered"
    tests = Beside.of(b"test", REPORT, b"<wrong").figures
    assert tests is not None
    assert tests.told() == "1 test"
    lines = Beside.of(b"test", None, covered).figures
    assert lines is not None
    assert lines.told() == "87 % of lines covered"
    assert Beside.of(b"test", None, None).figures is None


def test_a_report_that_was_committed_is_gone_before_the_first_phase() -> None:
    script = argv_of("/out")[2]
    assert -1 < script.index("rm -f coverage.xml") < script.index("make ")
