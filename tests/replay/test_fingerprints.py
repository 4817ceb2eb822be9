"""A changed command sequence is seen before it meets an open history, and the message teaches what to do."""

import ast
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.replay.fingerprints import COMMITTED, ROOT, Fingerprint, difference, fingerprints, text

WORKFLOWS = ("delivery", "engineering", "deploy", "agent-worker")


@pytest.fixture
def copy_of_the_source(tmp_path: Path) -> Path:
    for package in ("workflows", "activities", "contracts"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "schemas"))
    return tmp_path


def _file_of(root: Path, workflow: str) -> Path:
    return root / "workflows" / f"{workflow.replace('-', '_')}.py"


def test_the_committed_fingerprints_are_those_of_the_source() -> None:
    assert difference(COMMITTED) == ""


def test_every_workflow_and_graph_has_a_fingerprint() -> None:
    found = fingerprints()
    assert set(found["workflows"]) >= set(WORKFLOWS)
    assert all(found["workflows"][name]["run"] for name in WORKFLOWS)
    assert set(found["graphs"]) >= {"engineering", "devops"}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_an_inserted_activity_fails_with_a_lesson(workflow: str, copy_of_the_source: Path) -> None:
    _plant(_file_of(copy_of_the_source, workflow), "await workflow.execute_activity('planted.activity')")
    found = difference(COMMITTED, copy_of_the_source)
    assert '+    "activity planted.activity"' in found
    for words in ("TMPRL1100", "workflow.patched", "golden history", "make test-replay", "--write", "only if no run"):
        assert words in found


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("await workflow.sleep(1)", "timer"),
        ("await asyncio.sleep(1)", "timer"),
        ("await workflow.wait_condition(lambda: True, timeout=1)", "timer while waiting"),
        ("await workflow.execute_local_activity('planted')", "local activity planted"),
        ("await workflow.execute_child_workflow('planted')", "child workflow planted"),
        (
            "await workflow.get_external_workflow_handle('x').signal('y')",
            "signal workflow.get_external_workflow_handle",
        ),
        ("workflow.patched('planted')", "patched planted"),
        ("workflow.deprecate_patch('planted')", "deprecated patch planted"),
        ("workflow.continue_as_new()", "continue as new"),
        ("workflow.upsert_search_attributes([])", "search attributes"),
        ("workflow.upsert_memo({})", "memo"),
    ],
)
def test_every_kind_of_command_is_seen(statement: str, shown: str, copy_of_the_source: Path) -> None:
    _plant(_file_of(copy_of_the_source, "delivery"), statement)
    assert f'+    "{shown}' in difference(COMMITTED, copy_of_the_source)


def _plant(path: Path, statement: str) -> None:
    """Put a statement in front of the `run` method's own."""
    tree = ast.parse(path.read_text())
    run = next(node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef) and node.name == "run")
    run.body[:0] = ast.parse(statement).body
    path.write_text(ast.unparse(tree))


def test_a_change_in_a_shared_part_is_seen(copy_of_the_source: Path) -> None:
    ledger = copy_of_the_source / "workflows" / "ledger.py"
    ledger.write_text(ledger.read_text().replace("workflow.upsert_search_attributes(", "str("))
    assert '"search attributes"' in difference(COMMITTED, copy_of_the_source)


def test_a_changed_wire_name_is_seen(copy_of_the_source: Path) -> None:
    names = copy_of_the_source / "contracts" / "names.py"
    names.write_text(names.read_text().replace('"repository.scaffold"', '"repository.generate"'))
    assert "activity repository.generate" in difference(COMMITTED, copy_of_the_source)


def test_a_renamed_graph_node_is_seen(copy_of_the_source: Path) -> None:
    graph = copy_of_the_source / "workflows" / "graphs" / "engineering.py"
    graph.write_text(graph.read_text().replace('add_node("verify"', 'add_node("check"'))
    assert "check in activity" in difference(COMMITTED, copy_of_the_source)


def test_a_missing_file_is_red(tmp_path: Path) -> None:
    assert "--write" in difference(tmp_path / "fingerprints.json")


# How the source is read, on small sources


@pytest.fixture
def fingerprint_of(tmp_path: Path) -> Callable[[str], Fingerprint]:
    def read(source: str) -> Fingerprint:
        for package in ("contracts", "activities", "workflows/graphs"):
            (tmp_path / package).mkdir(parents=True, exist_ok=True)
        (tmp_path / "workflows" / "sample.py").write_text(textwrap.dedent(source))
        return fingerprints(tmp_path)

    return read


SAMPLE = """
    @workflow.defn(name="sample")
    class Sample:
        @workflow.run
        async def run(self):
            await self.first()
            if self.ready:
                await workflow.execute_activity("two")

        async def first(self):
            await workflow.execute_activity("one")
"""


def test_methods_are_followed_in_the_order_of_their_calls(fingerprint_of: Callable[[str], Fingerprint]) -> None:
    run = fingerprint_of(SAMPLE)["workflows"]["sample"]["run"]
    assert run == ["activity one", "if:", "  activity two"]


def test_moving_code_into_another_method_changes_nothing(fingerprint_of: Callable[[str], Fingerprint]) -> None:
    before = text(fingerprint_of(SAMPLE))
    assert text(fingerprint_of(SAMPLE.replace("first", "renamed"))) == before
    assert text(fingerprint_of(SAMPLE + "\n        def unused(self): ...\n")) == before


def test_changed_options_and_texts_change_nothing(fingerprint_of: Callable[[str], Fingerprint]) -> None:
    before = text(fingerprint_of(SAMPLE))
    changed = SAMPLE.replace('execute_activity("one")', 'execute_activity("one", summary="x", task_queue="y")')
    assert text(fingerprint_of(changed)) == before


def test_an_activity_moved_into_a_loop_is_seen(fingerprint_of: Callable[[str], Fingerprint]) -> None:
    before = text(fingerprint_of(SAMPLE))
    assert text(fingerprint_of(SAMPLE.replace("if self.ready:", "while self.ready:"))) != before


def test_recursion_ends(fingerprint_of: Callable[[str], Fingerprint]) -> None:
    again = SAMPLE + "            await self.first()\n"
    assert "again first" in fingerprint_of(again)["workflows"]["sample"]["run"]


def test_handlers_are_known_by_their_wire_names(fingerprint_of: Callable[[str], Fingerprint]) -> None:
    handlers = """
        @workflow.update(name="answer")
        async def on_answer(self): ...

        @workflow.signal
        def stop(self):
            self.worker.cancel()

        @workflow.query
        def status(self): ...
    """
    entries = fingerprint_of(textwrap.dedent(SAMPLE) + textwrap.indent(textwrap.dedent(handlers), "    "))
    assert set(entries["workflows"]["sample"]) == {"run", "update answer", "signal stop", "query status"}
    assert entries["workflows"]["sample"]["signal stop"] == ["cancel self.worker"]


def test_a_helper_of_another_class_is_a_part_and_a_silent_one_is_none(
    fingerprint_of: Callable[[str], Fingerprint],
) -> None:
    found = fingerprint_of("""
        class Loud:
            async def speak(self):
                await workflow.execute_activity("loud")

            def think(self):
                return 1

        @workflow.defn
        class Sample:
            def __init__(self):
                self.helper = self.make()

            def make(self) -> Loud:
                return Loud()

            @workflow.run
            async def run(self):
                self.helper.think()
                await self.helper.speak()
                other = Loud()
                await other.speak()
    """)
    assert found["workflows"]["Sample"]["run"] == ["-> sample.Loud.speak", "-> sample.Loud.speak"]
    assert found["parts"] == {"sample.Loud.speak": ["activity loud"]}
