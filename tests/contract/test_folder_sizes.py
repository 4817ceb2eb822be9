"""A folder that can be taken in at a glance: at most fifteen modules, or the reason for more in its `__init__`."""

import ast
from pathlib import Path

from tests.contract.test_import_rules import PACKAGES, ROOT

MOST = 15
REASON = f"More than {MOST} modules because "
ROOTS = (*PACKAGES, "infra", "tests")


def crowded(root: Path) -> list[str]:
    """A sentence for each folder below `root` with too many modules, or with a reason that it does not need."""
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    return [sentence for folder in sorted(folders) if (sentence := _complaint(folder, root.parent))]


def _complaint(folder: Path, above: Path) -> str | None:
    modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    name, is_large, has_reason = folder.relative_to(above), len(modules) > MOST, _has_reason(folder / "__init__.py")
    if is_large and not has_reason:
        return f"{name} has {len(modules)} modules: split it, or begin a paragraph of its __init__ with {REASON!r}."
    if has_reason and not is_large:
        return f"{name} gives a reason for more than {MOST} modules and has {len(modules)}: take the reason away."
    return None


def _has_reason(init: Path) -> bool:
    docstring = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) if init.exists() else None
    return any(line.startswith(REASON) for line in (docstring or "").splitlines())


def test_no_folder_has_more_modules_than_a_glance_takes_in() -> None:
    assert [sentence for root in ROOTS for sentence in crowded(ROOT / root)] == []


def test_a_folder_that_grows_too_large_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "product" / "deep"
    folder.mkdir(parents=True)
    for number in range(MOST + 1):
        (folder / f"part_{number}.py").touch()
    [sentence] = crowded(tmp_path / "product")
    assert sentence.startswith("product/deep has 16 modules")
    (folder / "__init__.py").write_text(f'"""Parts.\n\n{REASON}they are one list.\n"""\n')
    assert crowded(tmp_path / "product") == []


def test_a_reason_goes_with_what_it_excused(tmp_path: Path) -> None:
    (tmp_path / "product").mkdir()
    (tmp_path / "product" / "__init__.py").write_text(f'"""{REASON}they are one list."""\n')
    [sentence] = crowded(tmp_path / "product")
    assert "take the reason away" in sentence
