"""`python -m tests.contract.import_picture --write`: draws in docs/architecture.md who imports whom, from the code.

Only arrows that other arrows do not already imply are drawn.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
ADAPTERS = "activities.adapters"
Arrows = set[tuple[str, str]]


def pictures() -> dict[str, str]:
    """Mermaid diagrams by the name of the place in the page where they stand."""
    roots = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    graph = grimp.build_graph(*roots, cache_dir=None)
    inside = f"{ADAPTERS}."
    return {
        "packages": _drawn(_arrows(graph, _package)),
        "adapters": _drawn(
            _arrows(graph, lambda name: name.removeprefix(inside).split(".")[0] if name.startswith(inside) else None)
        ),
    }


def page_with(pictures: dict[str, str], page: str) -> str:
    """The page with each picture between its two marks. Raises ValueError for a picture that has no place."""
    for name, picture in pictures.items():
        begin, end = f"<!-- imports of {name} -->\n", f"<!-- end of imports of {name} -->"
        replaced = re.sub(f"{begin}.*?{end}", lambda _, text=f"{begin}{picture}{end}": text, page, flags=re.DOTALL)
        if begin not in page:
            raise ValueError(f"{PAGE} has no place for the imports of {name}")
        page = replaced
    return page


def _package(name: str) -> str:
    return ADAPTERS if name.startswith(ADAPTERS) else name.split(".")[0]


def _arrows(graph: grimp.ImportGraph, place_of: Callable[[str], str | None]) -> Arrows:
    arrows: Arrows = set()
    for importer in graph.modules:
        source = place_of(importer)
        for imported in graph.find_modules_directly_imported_by(importer):
            target = place_of(imported)
            if source and target and source != target:
                arrows.add((source, target))
    return arrows


def _drawn(arrows: Arrows) -> str:
    lines = [f"  {source} --> {target}" for source, target in sorted(_needed(arrows))]
    return "\n".join(["```mermaid", "flowchart TB", *lines, "```", ""])


def _needed(arrows: Arrows) -> Arrows:
    return {arrow for arrow in arrows if not _reaches(*arrow, arrows - {arrow})}


def _reaches(source: str, target: str, arrows: Arrows) -> bool:
    seen, open_ends = {source}, [source]
    while open_ends:
        here = open_ends.pop()
        for following in {end for start, end in arrows if start == here} - seen:
            if following == target:
                return True
            seen.add(following)
            open_ends.append(following)
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", required=True)
    parser.parse_args()
    PAGE.write_text(page_with(pictures(), PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
