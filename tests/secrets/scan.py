"""What a scan for secrets has looked at, what it found, and the short list of places where a secret may be."""

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.secrets.canaries import Canary
from tests.secrets.net import Net


@dataclass(frozen=True, order=True)
class Finding:
    """`place` is a kind and a name, such as `home: logs/api.log`. The value itself is in no report."""

    place: str
    canary: str
    form: str

    def __str__(self) -> str:
        return f"{self.place}: {self.canary}, {self.form}"


@dataclass(frozen=True)
class Allowed:
    """Canaries (by a pattern of their names) that belong into a place (by a pattern), and why.

    A file there is allowed only if no one but its owner may read it.
    """

    place: str
    canaries: str
    reason: str

    def covers(self, finding: Finding, mode: int | None) -> bool:
        private = mode is None or not mode & 0o077
        fits = re.fullmatch(self.place, finding.place) and re.fullmatch(self.canaries, finding.canary)
        return private and fits is not None


@dataclass
class Scan:
    """Collects. Samplers look from threads of their own."""

    canaries: list[Canary]
    allowed: list[Allowed]
    looked: Counter[str] = field(default_factory=Counter)
    """Bytes by kind of place: a scan that did not look proves nothing."""
    leaks: set[Finding] = field(default_factory=set)
    kept: set[Finding] = field(default_factory=set)
    """Found where it belongs."""

    def __post_init__(self) -> None:
        self._net = Net(self.canaries)
        self._seen: set[bytes] = set()
        self._again: list[tuple[str, str, bytes]] = []
        self._lock = threading.Lock()

    def knows(self, canaries: Iterable[Canary]) -> None:
        """More to look for, also in what was there only for a moment and has been looked at already."""
        with self._lock:
            self.canaries = [*self.canaries, *canaries]
            self._net = Net(self.canaries)
            self._seen.clear()
            again, self._again = self._again, []
        for kind, name, data in again:
            self.look(kind, name, data, passing=True)

    def look(
        self, kind: str, name: str, content: bytes | str, mode: int | None = None, *, passing: bool = False
    ) -> None:
        """Search one piece; `mode` is that of its file, `passing` says that it will not be there later."""
        data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        digest = hashlib.blake2b(data, digest_size=16, person=b"leak scan").digest() + f"{kind}: {name}".encode()
        with self._lock:
            if digest in self._seen:
                return
            self._seen.add(digest)
            self.looked[kind] += len(data)
            if passing:
                self._again.append((kind, name, data))
            net = self._net
        for hit in net.hits(data):
            finding = Finding(f"{kind}: {name}", hit.canary, hit.form)
            may = any(rule.covers(finding, mode) for rule in self.allowed)
            (self.kept if may else self.leaks).add(finding)

    def report(self) -> str:
        return "\n".join(str(leak) for leak in sorted(self.leaks)) or "nothing"

    def kept_in(self, place: str) -> set[str]:
        """Names of the canaries found in places that fit the pattern, and that may be there."""
        return {one.canary for one in self.kept if re.fullmatch(place, one.place)}
