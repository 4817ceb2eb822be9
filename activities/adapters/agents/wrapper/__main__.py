"""Starts as `python <path>/agent_wrapper JOB` from wherever the folder was copied to. JOB is a file."""

import importlib
import importlib.util
import sys
from pathlib import Path

NAME = "agent_wrapper"


def load(folder: Path) -> str:
    """Make the folder a package without putting its neighbours on the import path; returns its name."""
    if __package__:
        return __package__
    if sys.path and Path(sys.path[0]).resolve() == folder:
        del sys.path[0]
    spec = importlib.util.spec_from_file_location(
        NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is not a package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)
    return NAME


if __name__ == "__main__":
    package_name = load(Path(__file__).resolve().parent)
    sys.exit(importlib.import_module(f"{package_name}.beginning.start").main(sys.argv[1:]))
