"""What the source of the workflows says without running it: classes, functions, constants, wire names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class SourceClass:
    """A class with its methods (inherited ones included) and the classes of what its attributes hold."""

    name: str
    module: str
    node: ast.ClassDef
    methods: dict[str, Function] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class Source:
    """All modules of the workflows, and the wire names that they use from contracts and activities."""

    classes: dict[str, SourceClass] = field(default_factory=dict)
    functions: dict[str, tuple[str, Function]] = field(default_factory=dict)
    constants: dict[str, object] = field(default_factory=dict)
    graphs: dict[str, list[Function]] = field(default_factory=dict)

    def constant(self, node: ast.expr | None) -> str | None:
        """The text that an expression stands for, when the source alone says it."""
        if isinstance(node, ast.Constant):
            return str(node.value)
        value = self.constants.get(dotted(node)) if node is not None else None
        return value if isinstance(value, str) else None

    def shown(self, node: ast.expr | None) -> str:
        """The text that an expression stands for, else the expression itself."""
        return self.constant(node) or (ast.unparse(node) if node is not None else "?")


def read_source(root: Path) -> Source:
    """Parse `workflows`, and `activities` and `contracts` for the names that they give, below `root`."""
    source = Source()
    for path in sorted((root / "contracts").glob("*.py")):
        _read_constants(ast.parse(path.read_text(encoding="utf-8")), source)
    for path in sorted((root / "activities").glob("*.py")):
        _read_activities(ast.parse(path.read_text(encoding="utf-8")), source)
    for path in sorted((root / "workflows").rglob("*.py")):
        module = ".".join(path.relative_to(root / "workflows").with_suffix("").parts)
        _read_module(ast.parse(path.read_text(encoding="utf-8")), module, source)
    for found in source.classes.values():
        _inherit(found, source)
        found.attributes = dict(_attributes(found, source))
    return source


def dotted(node: ast.expr) -> str:
    """`a.b.c` of nested attributes; empty when it is anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The keyword argument `name` of a call."""
    return next((one.value for one in call.keywords if one.arg == name), None)


def decorator(node: Function | ast.ClassDef, name: str) -> ast.expr | None:
    """The decorator `name`, called or bare."""
    for one in node.decorator_list:
        if dotted(one.func if isinstance(one, ast.Call) else one) == name:
            return one
    return None


def wire_name(node: Function | ast.ClassDef, name: str, source: Source) -> str | None:
    """The name that decorator `name` gives, the definition's own name by default; None without the decorator."""
    found = decorator(node, name)
    if found is None:
        return None
    given = keyword(found, "name") if isinstance(found, ast.Call) else None
    return source.shown(given) if given is not None else node.name


def _assignments(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for node in body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _read_constants(tree: ast.Module, source: Source) -> None:
    for name, value in _assignments(tree.body):
        source.constants.setdefault(name, _literal(value))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for name, value in _assignments(node.body):
                source.constants[f"{node.name}.{name}"] = _literal(value)


def _read_activities(tree: ast.Module, source: Source) -> None:
    for node in tree.body:
        for method in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(method, Function):
                name = wire_name(method, "activity.defn", source)
                if name is not None:
                    owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
                    source.constants[f"{owner}{method.name}"] = name


def _read_module(tree: ast.Module, module: str, source: Source) -> None:
    _read_constants(tree, source)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            methods = {one.name: one for one in node.body if isinstance(one, Function)}
            source.classes[node.name] = SourceClass(node.name, module, node, methods)
        elif isinstance(node, Function):
            if module.startswith("graphs."):
                if any(_is_topology(one) for one in ast.walk(node)):
                    source.graphs.setdefault(module.removeprefix("graphs."), []).append(node)
            else:
                source.functions[node.name] = (module, node)


def _is_topology(node: ast.AST) -> bool:
    adds = {"add_node", "add_edge", "add_conditional_edges"}
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in adds


def _inherit(found: SourceClass, source: Source) -> None:
    for base in found.node.bases:
        parent = source.classes.get(dotted(base).rpartition(".")[2])
        if parent is not None:
            _inherit(parent, source)
            found.methods = {**parent.methods, **found.methods}


def _attributes(found: SourceClass, source: Source) -> Iterator[tuple[str, str]]:
    """`self.x = Known(...)`, `self.x = self.make()` with a declared result, or `self.x: Known`."""
    for node in ast.walk(found.node):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Attribute) and dotted(target.value) == "self":
                kind = annotated(node.annotation, source) if isinstance(node, ast.AnnAssign) else None
                kind = kind or (made(node.value, found, source) if node.value is not None else None)
                if kind:
                    yield target.attr, kind


def annotated(annotation: ast.expr | None, source: Source) -> str | None:
    """The class of the workflows that an annotation names, through `| None`."""
    for node in ast.walk(annotation) if annotation is not None else ():
        name = node.id if isinstance(node, ast.Name) else node.value if isinstance(node, ast.Constant) else None
        if isinstance(name, str) and name in source.classes:
            return name
    return None


def made(value: ast.expr, owner: SourceClass | None, source: Source) -> str | None:
    """The class of the workflows that an expression makes."""
    if not isinstance(value, ast.Call):
        return None
    name = dotted(value.func)
    if name.rpartition(".")[2] in source.classes:
        return name.rpartition(".")[2]
    if owner is not None and name.startswith("self."):
        method = owner.methods.get(name.removeprefix("self."))
        return annotated(method.returns, source) if method is not None else None
    return None
