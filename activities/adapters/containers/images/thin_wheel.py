"""The wheel of the `orchestrator` program for agents' images: the same sources, nothing but what a turn may say.

A wheel is an archive with three descriptions, so none of the tools that build one is needed where images are built.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

NAME = "codegen_orchestrator_agent"
_MOMENT = (1980, 1, 1, 0, 0, 0)
"""The same for the same sources; zip knows no earlier one."""


def thin_wheel(source_root: Path) -> tuple[str, bytes]:
    """File name and content. Blocks for milliseconds."""
    number = version("codegen-orchestrator")
    about = f"{NAME}-{number}.dist-info"
    files = _sources(source_root) | {
        f"{about}/METADATA": _lines("Metadata-Version: 2.1", f"Name: {NAME}", f"Version: {number}"),
        f"{about}/WHEEL": _lines(
            "Wheel-Version: 1.0", f"Generator: {NAME}", "Root-Is-Purelib: true", "Tag: py3-none-any"
        ),
        f"{about}/entry_points.txt": _lines("[console_scripts]", "orchestrator = cli.inside.__main__:main"),
    }
    record = f"{about}/RECORD"
    files[record] = _record(files, record)
    return f"{NAME}-{number}-py3-none-any.whl", _zipped(files)


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _sources(root: Path) -> dict[str, bytes]:
    modules = [root / "cli" / "__init__.py", *sorted((root / "cli" / "inside").glob("*.py"))]
    return {str(module.relative_to(root)): module.read_bytes() for module in modules}


def _record(files: Mapping[str, bytes], record: str) -> bytes:
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    return "".join(f"{line}\n" for line in [*lines, f"{record},,"]).encode()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            facts = zipfile.ZipInfo(name, _MOMENT)
            facts.external_attr = 0o644 << 16
            target.writestr(facts, content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
