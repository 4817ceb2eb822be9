"""Files of projects that are hostile or odd are read or refused with words, soon, and without a NUL."""

from __future__ import annotations

import asyncio
import time

import pytest
import yaml

from activities.adapters.forge.mirror import text_of
from activities.adapters.packages import bounded_yaml
from activities.adapters.release.plan_reader import ForgePlanReader
from activities.adapters.verification.phases import Beside, read_report
from activities.adapters.verification.report import judge
from contracts.errors import ErrorCode, OrchestratorError, bounded_list
from contracts.steps import AnalysisRequest
from tests.unit.activities.deploys.test_plan_reader_files import COMMIT, CONTRACT, MANIFEST, FakeFiles

MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 23)
)  # 22 levels, each twice as large as the one before


ODD = ["0000-00-00", "0x_", "0b_", "2001-99-99", "0001-01-01T00:00:00+23:59", "1:9:99999999999999999999999999",
       "!!binary x", "!!set {[]: }", "? [a]\n: b", "&a [*a]", "!!omap x", "*unknown", "1e999999999", "\\x00",
       "%YAML 9.9\n---\n"]  # fmt: skip


@pytest.mark.parametrize("value", ODD)
def test_an_odd_scalar_is_a_value_or_refused_with_words(value: str) -> None:
    try:
        bounded_yaml.load(f"key: {value}")
    except bounded_yaml.UnusableYaml as error:
        refusal = str(error)
    else:
        return
    assert "valid YAML" in refusal


def test_nested_merges_end_soon() -> None:
    assert len(MERGES) < 1_000
    began = time.process_time()
    with pytest.raises(bounded_yaml.UnusableYaml, match="merges"):
        bounded_yaml.load(MERGES)
    assert time.process_time() - began < 5, "milliseconds; as PyYAML does it, seconds and a gigabyte"


def test_a_merge_and_an_alias_of_a_person_are_read() -> None:
    text = "base: &base {health_path: /x}\none: {<<: *base, name: a}\nsame: *base"
    assert bounded_yaml.load(text) == yaml.safe_load(text)


@pytest.mark.parametrize("text", ["[" * 5_000, "{" * 5_000, "- " * 5_000, "? " * 5_000, "&a " * 5_000, "a: " * 5_000])
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(bounded_yaml.UnusableYaml):
        bounded_yaml.load(text)


@pytest.mark.parametrize("file", ["service.yaml", "env.contract.yaml"])
async def test_a_hostile_file_is_refused_by_its_code_while_the_event_loop_runs(file: str) -> None:
    files = {"service.yaml": MANIFEST, "env.contract.yaml": CONTRACT, file: MERGES}
    reader = ForgePlanReader(FakeFiles(files))  # type: ignore[arg-type]  # the reading part of the port is all that is needed
    beats, longest = 0, 0.0
    reading = asyncio.ensure_future(reader.read(AnalysisRequest(project_id="p", repository="u/r", commit=COMMIT)))
    while not reading.done():
        began = time.monotonic()
        await asyncio.sleep(0.001)
        beats, longest = beats + 1, max(longest, time.monotonic() - began)
    with pytest.raises(OrchestratorError) as refused:
        reading.result()
    assert refused.value.code is ErrorCode.ENV_CONTRACT_INVALID
    assert file in refused.value.message
    assert beats > 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_with_a_mark_is_read_whatever_its_encoding(encoding: str) -> None:
    assert text_of("service.yaml", "имя: блог\n".encode(encoding)) == "имя: блог\n"


@pytest.mark.parametrize(
    "content",
    [
        "имя".encode("utf-16-le"),
        "name: blog".encode("utf-16-be"),
        "имя".encode("cp1251"),
        b"a\0b",
        b"\xff\xfea",
        b"\x89PNG\0",
    ],
)
def test_what_is_no_text_is_refused_with_what_to_do(content: bytes) -> None:
    with pytest.raises(OrchestratorError) as refused:
        text_of("service.yaml", content)
    assert refused.value.code is ErrorCode.INVALID_INPUT
    assert "save it as UTF-8" in refused.value.message


def test_a_list_is_bounded_by_its_bytes() -> None:
    names = [f"{number:04}/" + "x" * 1_900 for number in range(1_000)]
    kept = bounded_list(names)
    assert kept == names[:16]
    assert bounded_list(["short"] * 5_000) == ["short"] * 1_000
    assert bounded_list(["имя" * 10_000, "b"]) == []


# What decides whether checks passed -----------------------------------------------------------------------------------

GREEN = b"""<testsuites><testsuite tests="2">
<testcase classname="t" name="a"/><testcase name="b"><skipped/></testcase>
</testsuite></testsuites>"""
RED = b"""<testsuites><testsuite><testcase classname="tests.test_a" name="test_disk">
<failure message="assert &apos;No space left on device&apos; == 1&#10;more"/>
</testcase></testsuite></testsuites>"""
NONE = b"<testsuites><testsuite tests='0'/></testsuites>"
ENTITIES = (
    '<?xml version="1.0" encoding="{}"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    '<a><testcase name="&c;"><failure message="&c;"/></testcase></a>'
)
"""A few levels more would be gigabytes; in UTF-16 and EBCDIC its declaration does not look like one."""
WORDS = (
    "E   AssertionError: No space left on device\n",
    "OSError: [Errno 28] No space left on device\n",
    "Disk quota exceeded\n",
    "Temporary failure in name resolution\n",
    "make: *** [Makefile:3: test] Killed\nbut went on\n",
)


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("report", [None, RED])
def test_words_in_the_output_of_tests_make_no_trouble_of_the_machine(words: str, report: bytes | None) -> None:
    verdict = judge(f"{words}make: *** [Makefile:30: test] Error 1\n", 2, Beside.of(b"test\n", report))
    assert verdict.failure_class == "code"


@pytest.mark.parametrize("words", WORDS)
def test_words_of_the_projects_own_code_make_no_trouble_of_the_machine_in_setup_either(words: str) -> None:
    output = f"python prepare.py\nTraceback (most recent call last):\n{words}make: *** [Makefile:3: setup] Error 1\n"
    assert judge(output, 2, Beside.of(b"setup\n", None)).failure_class == "code"


@pytest.mark.parametrize(
    ("exit_code", "phase", "output"),
    [
        (74, "test", "FAILED t.py::test_a\n"),
        (137, "test", ""),
        (-9, "check", ""),
        (2, "test", "make: *** [Makefile:30: test] Killed\n"),
        (2, "check", "make: *** [Makefile:9: check] Error 137\n"),
        (2, "setup", "pip: Temporary failure in name resolution\nmake: *** [Makefile:3: setup] Error 1\n"),
    ],
)
def test_exit_codes_and_phases_make_trouble_of_the_machine(exit_code: int, phase: str, output: str) -> None:
    assert judge(output, exit_code, Beside.of(phase.encode(), None)).failure_class == "infrastructure"


def test_the_report_decides_however_much_is_printed_after_it() -> None:
    noise = "noise after the summary\n" * 300
    assert judge(noise, 0, Beside.of(b"test", GREEN)).passed
    assert judge("==== 25 passed in 0.31s ====\n" + noise, 0).passed
    assert not judge(noise, 0, Beside.of(b"test", NONE)).passed
    assert not judge("==== 25 passed ====\n", 0, Beside.of(b"test", NONE)).passed
    lying = judge("==== 25 passed ====\n", 0, Beside.of(b"test", RED))
    assert (lying.passed, lying.failure_class) == (False, "code")
    assert "tests.test_a.test_disk - assert 'No space left on device' == 1" in lying.evidence


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<a",
        b"\xff\xfe<",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b"<a>&b;</a>",
        b"<a>" * 100_000,
        *(ENTITIES.format(encoding).encode(encoding) for encoding in ("utf-16", "utf-16-be", "utf-32-le", "cp037")),
    ],
)
def test_a_report_that_is_none_is_not_used(content: bytes) -> None:
    assert read_report(content) is None


def test_a_report_without_cases_has_executed_nothing() -> None:
    found = read_report(b"<a/>")
    assert found is not None
    assert (found.executed, found.failing) == (0, ())
