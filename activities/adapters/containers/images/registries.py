"""How this machine reaches registries, as files of a build's context: `.registry` with pip.conf, npmrc and ca.crt."""

import os
from pathlib import Path

from activities.adapters.packages.npm_access import npmrc_lines
from activities.adapters.packages.registry_access import CERTIFICATE, FOLDER, registry_files


def build_registry_files() -> dict[str, str]:
    """Files by name (below the context). Blocks. Raises OrchestratorError SETTINGS_INVALID for a setting of pip that
    uv does not have."""
    files = registry_files()
    lines, trusted = npmrc_lines(os.environ, Path.home())
    if trusted is not None:
        files.setdefault(f"{FOLDER}/ca.crt", trusted)
    if f"{FOLDER}/ca.crt" in files:
        lines.append(f"cafile={CERTIFICATE}")
    if lines:
        files[f"{FOLDER}/npmrc"] = "".join(f"{line}\n" for line in lines)
    return files
