"""Where a secret could leak to around containers: what an engine tells of them, their images, volumes and logs.

The same questions go to the machine's own engine and to the one on the server, through a command before `docker`.
"""

import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO

from tests.secrets.scan import Scan

_LARGEST = 128 * 1024 * 1024
_SERVER_FILES = (
    "etc", "home", "opt", "root", "run", "srv", "tmp", "var/log", "var/tmp", "var/lib/sudo", "var/spool",
    "var/lib/docker/containers", "var/lib/docker/volumes", "var/lib/docker/image", "var/lib/docker/tmp",
)  # fmt: skip


@dataclass
class Engine:
    """`kind` names it in reports. `before` reaches the machine that it is on; layers that were seen are known.

    With `repositories`, only images of those names are looked at (with all of which they were built), for an engine
    that has other work as well.
    """

    kind: str
    before: Sequence[str] = ()
    repositories: Sequence[str] = ()
    layers: set[str] = field(default_factory=set)

    def docker(self, *arguments: str) -> bytes:
        """What it answers; nothing when it refuses, such as for a container that has just gone."""
        argv = [*self.before, "docker", *arguments]
        return subprocess.run(argv, capture_output=True, check=False, timeout=120).stdout

    def lines(self, *arguments: str) -> list[str]:
        return self.docker(*arguments).decode().split()

    def look_at_container(self, scan: Scan, container: str) -> None:
        """Everything that the engine tells of it and keeps of its output."""
        scan.look(f"{self.kind}, docker inspect", container, self.docker("inspect", container), passing=True)
        scan.look(f"{self.kind}, docker top", container, self.docker("top", container, "-eo", "pid,args"))
        argv = [*self.before, "docker", "logs", container]
        said = subprocess.run(argv, capture_output=True, check=False, timeout=120)
        scan.look(f"{self.kind}, docker logs", container, said.stdout + said.stderr)

    def look_at_writable(self, scan: Scan, container: str, paths: Sequence[str]) -> None:
        """The container's own files, and what is in its volumes at `paths`."""
        for path in paths:
            with _streaming([*self.before, "docker", "cp", f"{container}:{path}", "-"]) as stream:
                for name, mode, content in _members(stream):
                    scan.look(f"{self.kind}, files of containers", f"{container}:{path}/{name}", content, mode)

    def look_at_everything(self, scan: Scan, since: datetime) -> None:
        """Containers, and images and volumes that were made since then: older ones cannot hold younger values."""
        for container in self.lines("ps", "--all", "--quiet", "--no-trunc"):
            self.look_at_container(scan, container)
        for name in ("networks", "volumes"):
            noun = name[:-1]
            for one in self.lines(noun, "ls", "--quiet"):
                scan.look(f"{self.kind}, docker inspect", f"{noun} {one}", self.docker(noun, "inspect", one))
        scan.look(f"{self.kind}, docker info", "info", self.docker("info") + self.docker("system", "df", "-v"))
        self.look_at_images(scan, sorted(image for image in self._images() if self._made(image) >= since))

    def _images(self) -> set[str]:
        if not self.repositories:
            return set(self.lines("images", "--all", "--quiet", "--no-trunc"))
        ours = {image for name in self.repositories for image in self.lines("images", "--quiet", "--no-trunc", name)}
        steps = {step for image in ours for step in self.lines("history", "--quiet", "--no-trunc", image)}
        return ours | steps - {"<missing>"}

    def _made(self, image: str) -> datetime:
        text = self.docker("image", "inspect", "--format", "{{.Created}}", image).decode().strip()
        return datetime.fromisoformat(f"{text[:19]}+00:00") if text else datetime.fromisoformat("1970-01-01T00:00Z")

    def look_at_images(self, scan: Scan, images: list[str]) -> None:
        """Also those in the middle of a build: how each was made, and every file of every layer, once."""
        for image in images:
            made = self.docker("history", "--no-trunc", image) + self.docker("image", "inspect", image)
            scan.look(f"{self.kind}, docker history", image, made)
        if images:
            with _streaming([*self.before, "docker", "save", *images]) as stream:
                self._look_at_layers(scan, stream)

    def _look_at_layers(self, scan: Scan, stream: IO[bytes]) -> None:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                # A link leads to a layer that comes by itself.
                file = archive.extractfile(member) if member.isreg() else None
                if file is None:
                    continue
                if not member.name.endswith("/layer.tar"):
                    scan.look(f"{self.kind}, image", member.name, file.read(_LARGEST))
                elif member.name not in self.layers:
                    self.layers.add(member.name)
                    for name, _, content in _members(file):
                        scan.look(f"{self.kind}, image layers", name, content)

    def knows_layers_of(self, image: str) -> None:
        """Layers that are not to be looked at: those of an image that was there before."""
        with (
            _streaming([*self.before, "docker", "save", image]) as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            self.layers |= {member.name for member in archive if member.name.endswith("/layer.tar")}


def look_at_server(scan: Scan, container: str, kind: str = "server") -> None:
    """The files of a server in a container that anybody could have written to, and its process list."""
    with _streaming(
        ["docker", "exec", container, "tar", "-c", "--ignore-failed-read", "-C", "/", *_SERVER_FILES]
    ) as stream:
        for name, mode, content in _members(stream):
            scan.look(f"{kind}, files", name, content, mode)
    listed = subprocess.run(["docker", "exec", container, "ps", "-eo", "args"], capture_output=True, check=True)
    scan.look(f"{kind}, arguments of processes", "ps", listed.stdout)
    journal = subprocess.run(["docker", "exec", container, "journalctl", "--no-pager"], capture_output=True, check=True)
    scan.look(f"{kind}, journal", "journalctl", journal.stdout)


@contextmanager
def _streaming(argv: Sequence[str]) -> Iterator[IO[bytes]]:
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        # If reading stopped in the middle, it would keep writing.
        process.kill()
        process.stdout.close()
        process.wait()


def _members(stream: IO[bytes]) -> Iterator[tuple[str, int, bytes]]:
    """Name, mode and content of each file of an archive that comes in one pass; of a link, where it points."""
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if member.issym() or member.islnk():
                    yield member.name, member.mode, member.linkname.encode()
                elif member.isreg() and (file := archive.extractfile(member)) is not None:
                    yield member.name, member.mode, file.read(_LARGEST)
    except tarfile.ReadError:
        return  # no archive at all: what it was asked of has gone
