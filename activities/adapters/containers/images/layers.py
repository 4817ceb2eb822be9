"""What an image is made of: layers, each with a tag that follows from its content and from what it stands on."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

BASE_IMAGE = "debian:bookworm-slim"
REPOSITORY = "codegen-orchestrator-worker"
WORKER = "worker"
_DIGITS = 16

Source = tuple[Path | bytes, int]
"""A file, or its content; and its mode."""


@dataclass(frozen=True)
class Layer:
    """One step from an image to the next.

    `name` says what it is for: of two layers with one name, the newer replaces the older. `fetch` is the Dockerfile of
    an image that gets what has to be fetched from registries; the layer copies it from there, so that how a registry
    is reached stays out. `smoke` is a shell script that fails if the layer does not work. `large` files count by
    `versions` only. `keep` is how many layers of this name are kept.
    """

    name: str
    dockerfile: str
    smoke: str
    files: Mapping[str, Source] = field(default_factory=dict)
    large: Mapping[str, Source] = field(default_factory=dict)
    versions: str = ""
    fetch: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    keep: int = 1

    def tag(self, parent: str) -> str:
        """The layer's tag on top of `parent`."""
        told = json.dumps([parent, self.versions, self.fetch, sorted(self.arguments.items()), self.smoke])
        digest = hashlib.sha256(told.encode() + self._archive(self.files)).hexdigest()[:_DIGITS]
        return f"{REPOSITORY}:{digest}" if self.name == WORKER else f"{REPOSITORY}:{self.name}-{digest}"

    def context(self) -> bytes:
        """The build's context."""
        return self._archive({**self.large, **self.files})

    def fetch_context(self, registry: Mapping[str, str]) -> bytes:
        """The context of the build that fetches; `registry` are files that say how registries are reached."""
        told: dict[str, Source] = {name: (text.encode(), 0o600) for name, text in registry.items()}
        files: dict[str, Source] = {**self.large, **self.files, **told}
        return archive({**files, "Dockerfile": ((self.fetch or "").encode(), 0o644)})

    def _archive(self, files: Mapping[str, Source]) -> bytes:
        return archive({"Dockerfile": (self.dockerfile.encode(), 0o644), **files})


def tags_of(layers: Sequence[Layer], parent: str = BASE_IMAGE) -> list[str]:
    """The tag of each layer, from the lowest up. Reads files: call it in a thread."""
    tags: list[str] = []
    for layer in layers:
        tags.append(layer.tag(tags[-1] if tags else parent))
    return tags


def tree(folder: Path, below: str) -> dict[str, Source]:
    """The files of a source folder, by their path in a context; nothing if there is no such folder."""
    found = (file for file in sorted(folder.rglob("*")) if file.is_file() and "__pycache__" not in file.parts)
    return {f"{below}/{file.relative_to(folder)}": (file, 0o644) for file in found}


def archive(files: Mapping[str, Source]) -> bytes:
    """A tar archive that is the same for the same sources, whatever their dates and owners are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as target:
        for name, content, mode in _read(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            target.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _read(files: Mapping[str, Source]) -> Iterable[tuple[str, bytes, int]]:
    for name, (source, mode) in files.items():
        yield name, source if isinstance(source, bytes) else source.read_bytes(), mode
