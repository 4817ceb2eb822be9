"""Fingerprints: the commands that each workflow can issue, in source order, compared with a committed file.

A Temporal worker replays open histories with today's code. When that code would issue other commands, every open
run is stuck, and nothing says so before it is deployed. This reads the source only (no import, no server), so it
also says so for paths that no golden history has. It sees structure: what a condition decides stays unseen.

`python -m tests.replay.fingerprints --check` compares, `--write` accepts.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.replay.workflow_source import (
    Function,
    Source,
    SourceClass,
    annotated,
    dotted,
    keyword,
    made,
    read_source,
    wire_name,
)

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "tests" / "replay" / "fingerprints.json"

LESSON = """
The commands of a workflow have changed (above: - committed, + this source). A run that is open now replays its
history with this code; where the commands differ it is stuck with a nondeterminism error (TMPRL1100).

  1. Can a run of the old code be open? After a release: yes. Then keep its path:
         if patches.<name>():      # workflows/patches.py wraps workflow.patched("<reason>-<date>")
             ... the new commands
         else:
             ... the old ones, until no such run exists
  2. Record a golden history of the new path in tests/replay and see both the old and the new ones green:
         make test-replay
  3. Then accept the new fingerprint, in the same commit:
         python -m tests.replay.fingerprints --write
     Without 1 and 2 only if no run of the old code can be open (nothing was released with it).

Nothing was meant to change? Put the calls back into their old order: the order is part of every open history.
"""

Fingerprint = dict[str, Any]

_ACTIVITY = {
    f"{verb}{local}_activity{form}": "local activity" if local else "activity"
    for verb in ("execute", "start")
    for local in ("", "_local")
    for form in ("", "_method", "_class")
}
_CHILD = {"execute_child_workflow": "child workflow", "start_child_workflow": "child workflow"}
_TIMERS = {"workflow.sleep", "asyncio.sleep", "asyncio.wait_for", "asyncio.timeout", "workflow.timeout"}
_TIMED_WAITS = {"workflow.wait_condition", "workflow.wait", "asyncio.wait"}
_PLAIN = {
    "continue_as_new": "continue as new",
    "upsert_search_attributes": "search attributes",
    "upsert_memo": "memo",
}
_PATCHES = {"patched": "patched", "deprecate_patch": "deprecated patch"}
_TO_OTHERS = {"signal", "cancel"}
_HANDLERS = {"workflow.update": "update", "workflow.signal": "signal", "workflow.query": "query"}


@dataclass
class Walk:
    """Collects the commands of one function, following calls to methods of its own class."""

    source: Source
    owner: SourceClass | None
    locals: dict[str, str] = field(default_factory=dict)
    parts: dict[str, tuple[SourceClass | None, Function]] = field(default_factory=dict)
    open: tuple[str, ...] = ()

    def function(self, node: Function) -> list[str]:
        inner = Walk(self.source, self.owner, dict(_arguments(node, self.source)), self.parts, (*self.open, node.name))
        return inner.block(node.body)

    def block(self, statements: Iterable[ast.AST]) -> list[str]:
        return [line for statement in statements for line in self.visit(statement)]

    def visit(self, node: ast.AST) -> list[str]:
        """Lines of one statement or expression, in the order in which Python evaluates it."""
        if isinstance(node, ast.If | ast.IfExp):
            return self._if(node)
        if isinstance(node, ast.While):
            return _nested("loop", [*self.visit(node.test), *self.block(node.body)]) + self.block(node.orelse)
        if isinstance(node, ast.For | ast.AsyncFor):
            return [*self.visit(node.iter), *_nested("loop", self.block(node.body)), *self.block(node.orelse)]
        if isinstance(node, ast.Try):
            return self._try(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Attribute):
            return [*self.visit(node.value), *self._follow(node, callback=True)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            self._remember(node)
            return self.visit(node.value)
        return self.block(ast.iter_child_nodes(node))

    def _if(self, node: ast.If | ast.IfExp) -> list[str]:
        body = node.body if isinstance(node.body, list) else [node.body]
        orelse = node.orelse if isinstance(node.orelse, list) else [node.orelse]
        return [*self.visit(node.test), *_nested("if", self.block(body)), *_nested("else", self.block(orelse))]

    def _try(self, node: ast.Try) -> list[str]:
        lines = _nested("try", self.block(node.body))
        for handler in node.handlers:
            kind = ast.unparse(handler.type) if handler.type is not None else "anything"
            lines += _nested(f"except {kind}", self.block(handler.body))
        return lines + _nested("else", self.block(node.orelse)) + _nested("finally", self.block(node.finalbody))

    def _call(self, node: ast.Call) -> list[str]:
        target = self.visit(node.func.value) if isinstance(node.func, ast.Attribute) else []
        arguments = self.block([*node.args, *(one.value for one in node.keywords)])
        return [*target, *arguments, *self._command(node), *self._follow(node.func, callback=False)]

    def _command(self, node: ast.Call) -> Iterator[str]:
        name, first = dotted(node.func), node.args[0] if node.args else None
        plain = name.removeprefix("workflow.")
        if name.startswith("workflow.") and plain in _ACTIVITY:
            yield f"{_ACTIVITY[plain]} {self.source.shown(first or keyword(node, 'activity'))}"
        elif name.startswith("workflow.") and plain in _CHILD:
            yield f"{_CHILD[plain]} {self._workflow_name(first or keyword(node, 'workflow'))}"
        elif name.startswith("workflow.") and plain in _PATCHES:
            yield f"{_PATCHES[plain]} {self.source.shown(first)}"
        elif name.startswith("workflow.") and plain in _PLAIN:
            yield _PLAIN[plain]
        elif name in _TIMERS:
            yield "timer"
        elif name in _TIMED_WAITS and keyword(node, "timeout") is not None:
            yield "timer while waiting"
        elif first is not None and dotted(first).startswith("GraphName."):
            yield f"graph {self.source.shown(first)}"
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _TO_OTHERS and not self._known(node.func):
            yield f"{node.func.attr} {ast.unparse(node.func.value)}"

    def _workflow_name(self, node: ast.expr | None) -> str:
        """By wire name, also when the class or its `run` is passed."""
        found = self.source.classes.get(dotted(node).partition(".")[0]) if node is not None else None
        named = wire_name(found.node, "workflow.defn", self.source) if found is not None else None
        return named or self.source.shown(node)

    def _follow(self, function: ast.expr, *, callback: bool) -> list[str]:
        """Inline a method of the same class; name a function or another class's method as a part of its own."""
        found = self._known(function, functions=not callback)
        if found is None:
            return []
        label, owner, node = found
        if owner is self.owner and owner is not None and dotted(function).startswith("self."):
            return [f"again {node.name}"] if node.name in self.open else self.function(node)
        self.parts[label] = (owner, node)
        return [f"-> {label}"]

    def _known(self, function: ast.expr, *, functions: bool = True) -> tuple[str, SourceClass | None, Function] | None:
        name = dotted(function)
        holder, _, method = name.rpartition(".")
        owner = self._class_of(holder)
        if owner is not None and method in owner.methods:
            return f"{owner.module}.{owner.name}.{method}", owner, owner.methods[method]
        if functions and method in self.source.functions:
            module, node = self.source.functions[method]
            if holder in {"", module.rpartition(".")[2]}:
                return f"{module}.{method}", None, node
        return None

    def _class_of(self, holder: str) -> SourceClass | None:
        if holder == "self":
            return self.owner
        if holder.startswith("self.") and self.owner is not None:
            return self.source.classes.get(self.owner.attributes.get(holder.removeprefix("self."), ""))
        return self.source.classes.get(self.locals.get(holder, ""))

    def _remember(self, node: ast.Assign | ast.AnnAssign) -> None:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        kind = made(node.value, self.owner, self.source) if node.value is not None else None
        if isinstance(target, ast.Name) and kind is not None:
            self.locals[target.id] = kind


def _arguments(node: Function, source: Source) -> Iterator[tuple[str, str]]:
    for argument in (*node.args.args, *node.args.kwonlyargs):
        kind = annotated(argument.annotation, source)
        if kind is not None:
            yield argument.arg, kind


def _nested(title: str, lines: list[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in lines)] if lines else []


def fingerprints(root: Path = ROOT) -> Fingerprint:
    """The fingerprint of every workflow and graph below `root`."""
    source = read_source(root)
    parts: dict[str, tuple[SourceClass | None, Function]] = {}
    workflows = {
        name: _entries(found, source, parts)
        for found in source.classes.values()
        if (name := wire_name(found.node, "workflow.defn", source)) is not None
    }
    described = _described(parts, source)
    silent = {name for name, lines in described.items() if not _speaks(lines, described, frozenset())}
    return {
        "workflows": {
            name: {entry: _without(silent, lines) for entry, lines in sorted(entries.items())}
            for name, entries in sorted(workflows.items())
        },
        "parts": {name: _without(silent, lines) for name, lines in sorted(described.items()) if name not in silent},
        "graphs": {name: _graph(functions, source) for name, functions in sorted(source.graphs.items())},
    }


def _entries(
    found: SourceClass, source: Source, parts: dict[str, tuple[SourceClass | None, Function]]
) -> dict[str, list[str]]:
    entries: dict[str, list[str]] = {}
    for method in found.methods.values():
        title = "run" if wire_name(method, "workflow.run", source) else None
        for name, kind in _HANDLERS.items():
            wired = wire_name(method, name, source)
            title = f"{kind} {wired}" if wired is not None else title
        if title is not None:
            entries[title] = Walk(source, found, parts=parts).function(method)
    return entries


def _described(parts: dict[str, tuple[SourceClass | None, Function]], source: Source) -> dict[str, list[str]]:
    """Lines of every part, and of the parts that these name, until nothing new is found."""
    described: dict[str, list[str]] = {}
    while parts.keys() - described.keys():
        for name in sorted(parts.keys() - described.keys()):
            owner, node = parts[name]
            described[name] = Walk(source, owner, parts=parts).function(node)
    return described


def _speaks(lines: list[str], described: dict[str, list[str]], seen: frozenset[str]) -> bool:
    """Whether any command is issued, by these lines or by the parts that they name."""
    for line in map(str.strip, lines):
        part = line.removeprefix("-> ")
        if line.startswith("-> "):
            if part not in seen and _speaks(described[part], described, seen | {part}):
                return True
        elif not line.endswith(":") and not line.startswith("again "):
            return True
    return False


def _without(silent: set[str], lines: list[str]) -> list[str]:
    """Drop calls of silent parts, and blocks that are empty then."""
    kept = [line for line in lines if line.strip().removeprefix("-> ") not in silent]
    while True:
        full = [line for at, line in enumerate(kept) if not _is_empty_block(kept, at)]
        if full == kept:
            return kept
        kept = full


def _is_empty_block(lines: list[str], at: int) -> bool:
    following = lines[at + 1] if at + 1 < len(lines) else ""
    return lines[at].endswith(":") and _depth(following) <= _depth(lines[at])


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip()) if line else -1


def _graph(functions: list[Function], source: Source) -> dict[str, list[str]]:
    """Node names are wire names, and whether a node runs as an activity is a command of its own."""
    nodes: list[str] = []
    edges: list[str] = []
    calls = [one for node in functions for one in ast.walk(node) if isinstance(one, ast.Call)]
    for call in (one for one in calls if isinstance(one.func, ast.Attribute)):
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        shown = [source.shown(argument) for argument in call.args]
        if method == "add_node":
            nodes.append(f"{shown[0]} in {_place(keyword(call, 'metadata'), source)}")
        elif method == "add_edge":
            edges.append(f"{shown[0]} -> {shown[1]}")
        elif method == "add_conditional_edges":
            edges.append(f"{shown[0]} -> {shown[1]}: {shown[2] if len(shown) > 2 else '?'}")
    return {"nodes": nodes, "edges": edges}


def _place(metadata: ast.expr | None, source: Source) -> str:
    if isinstance(metadata, ast.Call):
        return "activity" if dotted(metadata.func).endswith("node") else ast.unparse(metadata)
    value = source.constants.get(dotted(metadata)) if isinstance(metadata, ast.Name) else None
    if isinstance(metadata, ast.Dict):
        value = ast.literal_eval(metadata)
    return str(value.get("execute_in")) if isinstance(value, dict) else "?"


def text(fingerprint: Fingerprint) -> str:
    """The committed form: one line per command, so that a difference reads as one."""
    return json.dumps(fingerprint, indent=1, ensure_ascii=False) + "\n"


def difference(committed: Path, root: Path = ROOT) -> str:
    """What differs from the committed file, with what to do; empty when nothing does."""
    before = committed.read_text(encoding="utf-8") if committed.exists() else ""
    now = text(fingerprints(root))
    if before == now:
        return ""
    lines = difflib.unified_diff(
        before.splitlines(), now.splitlines(), f"committed {committed.name}", "this source", n=4, lineterm=""
    )
    return "\n".join(lines) + "\n" + LESSON


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.replay.fingerprints", description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="fail with the difference and what to do about it")
    action.add_argument("--write", action="store_true", help="accept the commands of this source")
    options = parser.parse_args(arguments)
    if options.write:
        COMMITTED.parent.mkdir(parents=True, exist_ok=True)
        COMMITTED.write_text(text(fingerprints()), encoding="utf-8")
        return 0
    found = difference(COMMITTED)
    sys.stdout.write(found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
