"""The contracts as JSON Schema files, one per module, for programs in other languages and for the guard.

`python -m contracts.schema_export --write` writes contracts/schemas, `--check` says whether they are current,
`--compat [DIRECTORY]` compares today's models with released schemas, `--release` freezes today's as released.
"""

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

import contracts
from contracts.agent_workers import WorkerCommand, WorkerResponse
from contracts.base import Contract
from contracts.compatibility import ModelSchemas, incompatibilities

SCHEMAS: Final = Path(__file__).parent / "schemas"
RELEASED: Final = SCHEMAS / "released"
"""What the last release promised. Regenerating `schemas/` does not touch it, so the guard cannot be lost by that."""

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_UNIONS: Final[dict[str, Any]] = {"WorkerCommand": WorkerCommand, "WorkerResponse": WorkerResponse}
_UNION_HOME: Final = "agent_workers"

Files = dict[str, str]


def models() -> list[type[Contract]]:
    """Every Contract class of this package, by name."""
    for name in _modules():
        importlib.import_module(name)
    found = {model.__name__: model for model in _below(Contract) if model.__module__.startswith("contracts.")}
    return [found[name] for name in sorted(found)]


def _modules() -> list[str]:
    """The full names of this package's modules, those of packages inside it too."""
    return [module.name for module in pkgutil.walk_packages(contracts.__path__, "contracts.")]


def _below(model: type[Contract]) -> Iterator[type[Contract]]:
    yield model
    for child in model.__subclasses__():
        yield from _below(child)


def export() -> Files:
    """File name to text: deterministic, so that two runs of one source are equal byte for byte."""
    definitions = _definitions()
    homes = {name: _home(name) for name in definitions}
    files: Files = {}
    for module in sorted(set(homes.values())):
        own = {name: _with_files(definitions[name], module, homes) for name in definitions if homes[name] == module}
        document = {"$schema": _DIALECT, "title": f"contracts.{module}", "$defs": own}
        files[f"{module}.json"] = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return files


def _definitions() -> ModelSchemas:
    inputs: list[tuple[str, Any, TypeAdapter[Any]]] = [
        (model.__name__, "validation", TypeAdapter(model)) for model in models()
    ]
    inputs += [(name, "validation", TypeAdapter(union)) for name, union in _UNIONS.items()]
    by_key, document = TypeAdapter.json_schemas(inputs)
    definitions: ModelSchemas = dict(document["$defs"])
    for (name, _), schema in by_key.items():
        if schema.get("$ref") != f"#/$defs/{name}":
            definitions[name] = dict(schema)
    return definitions


def _home(name: str) -> str:
    """The module that a definition belongs to: enumerations and models live where their class does."""
    if name in _UNIONS:
        return _UNION_HOME
    for model in models():
        if model.__name__ == name:
            return model.__module__.removeprefix("contracts.")
    for module in _modules():
        value = getattr(importlib.import_module(module), name, None)
        if isinstance(value, type) and issubclass(value, Enum) and value.__module__ == module:
            return module.removeprefix("contracts.")
    raise LookupError(f"{name} belongs to no module of contracts: give every model its own name")


def _with_files(schema: object, module: str, homes: dict[str, str]) -> object:
    """Point references to definitions of other modules at their files."""
    if isinstance(schema, list):
        return [_with_files(item, module, homes) for item in schema]
    if isinstance(schema, dict):
        return {key: _with_files(value, module, homes) for key, value in schema.items()}
    if isinstance(schema, str) and schema.startswith("#/$defs/"):
        home = homes[schema.removeprefix("#/$defs/")]
        return schema if home == module else f"{home}.json{schema}"
    return schema


def read_models(files: Files) -> ModelSchemas:
    """The definitions of exported files, by class name."""
    return {name: schema for text in files.values() for name, schema in json.loads(text)["$defs"].items()}


def read_files(directory: Path) -> Files:
    """The schema files of a directory, by name; empty when there are none."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(directory.glob("*.json"))}


def write(directory: Path, files: Files) -> None:
    """Make `directory` hold exactly these schema files. A second run changes nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.glob("*.json"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")


def stale(directory: Path) -> list[str]:
    """Names of files that differ from today's models, are missing, or are no longer needed."""
    now, there = export(), read_files(directory)
    return sorted(name for name in now.keys() | there.keys() if now.get(name) != there.get(name))


def broken_promises(base: Path) -> list[str]:
    """The promises of the schemas in `base` that today's models break, in sentences that say what to do."""
    released = read_files(base)
    if not released:
        return [f"There are no released schemas in {base.name}/: restore them from git, they are the guard."]
    return incompatibilities(read_models(released), read_models(export()))


def _check() -> int:
    names = stale(SCHEMAS)
    if names:
        _say(f"Out of date in contracts/schemas: {', '.join(names)}")
        _say("Run `python -m contracts.schema_export --write`, read the difference, and commit it with the change.")
    return 1 if names else 0


def _compat(base: Path) -> int:
    problems = broken_promises(base)
    for problem in problems:
        _say(problem)
    if problems:
        _say("\nOther programs and open histories speak the released form; docs/contracts.md has the rules.")
    return 1 if problems else 0


def _release() -> int:
    """Freeze only what keeps the earlier promises: a release can add to them, never take from them."""
    if read_files(RELEASED) and _compat(RELEASED):
        return 1
    write(RELEASED, export())
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m contracts.schema_export", description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write contracts/schemas")
    action.add_argument("--check", action="store_true", help="fail when contracts/schemas is out of date")
    action.add_argument("--compat", nargs="?", type=Path, const=RELEASED, metavar="DIRECTORY")
    action.add_argument("--release", action="store_true", help="freeze today's schemas as released")
    options = parser.parse_args(arguments)
    if options.write:
        write(SCHEMAS, export())
        return 0
    if options.check:
        return _check()
    return _release() if options.release else _compat(options.compat)


if __name__ == "__main__":
    sys.exit(main())
