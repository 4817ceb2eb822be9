"""Which calls may pass. Nothing of the caller's text reaches the engine: what was understood is written anew.

A call is known by its API version, method, path, query and body. Everything that is not named here is refused, also a
query or a body where none belongs: before API 1.24 a container took its privileges from the body of its start.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote_to_bytes, urlencode

from infra.engine_proxy.bodies import MARK, container_body, network_body, no_body, strict_json, volume_body
from infra.engine_proxy.names import CONTAINER, NETWORK, SET_UP, TAG, VOLUME
from infra.engine_proxy.refusals import Refused

VERSIONS = frozenset(f"1.{minor}" for minor in range(40, 53))
"""Those whose changes were read: Docker 19.03 to 29. A newer one may give an old call a new meaning."""
_MAX_TARGET = 8192
_PATH = re.compile(r"/(?:v(?P<version>1\.[1-9][0-9])/)?(?P<rest>[A-Za-z0-9_.:/-]*)")
_ABOUT = re.compile(rf"containers/{CONTAINER}(?=/|\Z)|volumes/{VOLUME}\Z")
_KEY = re.compile(r"[a-z_]{1,20}")
_SWITCH = re.compile(r"0|1|True|False|true|false")
_OFF = re.compile(r"0|False|false")
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_ABSOLUTE = re.compile(r"/[^\x00]{0,1000}")

Check = re.Pattern[str] | Callable[[str], bool]
Body = Literal["none", "described", "archive"]
Describe = Callable[[object, Mapping[str, str]], object]
"""Checks a body, knowing the query, and returns what the engine gets."""


@dataclass(frozen=True)
class Call:
    """A call that may pass: what the engine is asked. `describe` checks a described body and writes it anew.

    `about` is the container or the volume that it is about, such as `volumes/venv-1`; empty for others.
    """

    method: str
    target: str
    body: Body = "none"
    describe: Describe | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    about: str = ""

    def things(self, body: bytes) -> list[str]:
        """All that it is about, with the volumes and the container in its body, which `described` has returned."""
        host = json.loads(body)["HostConfig"] if self.describe is container_body else {}
        mounts, network = host.get("Mounts", []), str(host.get("NetworkMode", ""))
        written = [f"containers/{self.query['container']}"] if "container" in self.query else []
        if network.startswith("container:"):
            written.append(f"containers/{network.removeprefix('container:')}")
        return [*([self.about] if self.about else []), *written, *(f"volumes/{mount['Source']}" for mount in mounts)]

    def described(self, content: bytes) -> bytes:
        """The body as the engine gets it. Raises Refused."""
        assert self.describe is not None
        return json.dumps(self.describe(strict_json(content), self.query)).encode()


@dataclass(frozen=True)
class _Route:
    methods: tuple[str, ...]
    path: str
    query: Mapping[str, Check] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    body: Body = "none"
    describe: Describe | None = None
    unversioned: bool = False


def _ours(filters: str) -> bool:
    """Whether a list is asked for that has our containers only."""
    try:
        wanted = strict_json(filters.encode())
    except Refused:
        return False
    labels = wanted.get("label") if isinstance(wanted, dict) and set(wanted) == {"label"} else None
    return isinstance(labels, list) and MARK in labels and all(isinstance(one, str) for one in labels)


def _texts(value: str) -> bool:
    try:
        known = strict_json(value.encode())
    except Refused:
        return False
    return isinstance(known, dict) and all(isinstance(one, str) for one in known.values())


_NEW_TAG: dict[str, Check] = {
    "repo": re.compile("codegen-orchestrator-worker"),
    "tag": re.compile("[a-z0-9.-]{1,100}"),
}
_LIST: dict[str, Check] = {"limit": _NUMBER, "all": _SWITCH, "size": _OFF, "trunc_cmd": _SWITCH, "filters": _ours}
_LOGS: dict[str, Check] = {
    **dict.fromkeys(("stderr", "stdout", "timestamps", "follow"), _SWITCH),
    "tail": re.compile("all|[0-9]{1,6}"),
}
_BUILD: dict[str, Check] = {
    **dict.fromkeys(("q", "nocache", "rm", "forcerm", "pull"), _SWITCH),
    "t": re.compile(TAG),
    "buildargs": _texts,
    "labels": _texts,
}
_ROUTES = (
    _Route(("GET", "HEAD"), r"_ping|version", unversioned=True),
    _Route(("GET",), r"_ping|version|info"),
    _Route(("GET",), r"containers/json", _LIST, frozenset({"filters"})),
    _Route(
        ("POST",),
        r"containers/create",
        {"name": re.compile(CONTAINER)},
        frozenset({"name"}),
        "described",
        container_body,
    ),
    _Route(("GET",), rf"containers/{CONTAINER}/json"),
    _Route(("GET",), rf"containers/{CONTAINER}/logs", _LOGS),
    _Route(("GET", "HEAD"), rf"containers/{CONTAINER}/archive", {"path": _ABSOLUTE}, frozenset({"path"})),
    _Route(("PUT",), rf"containers/{CONTAINER}/archive", {"path": _ABSOLUTE}, frozenset({"path"}), "archive"),
    _Route(("POST",), rf"containers/{CONTAINER}/(?:start|wait)"),
    _Route(("POST",), rf"containers/{CONTAINER}/stop", {"t": _NUMBER}),
    _Route(("DELETE",), rf"containers/{CONTAINER}", {"v": _SWITCH, "force": _SWITCH, "link": _OFF}),
    _Route(("GET", "DELETE"), rf"volumes/{VOLUME}"),
    _Route(("POST",), r"volumes/create", body="described", describe=volume_body),
    _Route(("GET",), rf"networks/{NETWORK}"),
    _Route(("POST",), r"networks/create", body="described", describe=network_body),
    _Route(("GET",), rf"images/(?:debian:bookworm-slim|{TAG})/json"),
    _Route(("DELETE",), rf"images/{TAG}", {"force": _OFF, "noprune": _SWITCH}),
    _Route(
        ("POST",),
        rf"images/{TAG}/tag",
        {**_NEW_TAG, "force": _SWITCH},
        frozenset({"repo", "tag"}),
    ),
    _Route(
        ("POST",),
        r"commit",
        {**_NEW_TAG, "container": re.compile(SET_UP), "pause": _SWITCH},
        frozenset({"repo", "tag", "container"}),
        "described",
        no_body,
    ),
    _Route(("POST",), r"build", _BUILD, frozenset({"t"}), "archive"),
)


def known_call(method: str, target: str) -> Call:
    """The call that is asked for, written anew. Raises Refused for any other."""
    if len(target) > _MAX_TARGET:
        raise Refused("its address is too long")
    path, _, query = target.partition("?")
    found = _PATH.fullmatch(path)
    if found is None:
        raise Refused("its path is not one of the Engine API")
    version, rest = found["version"], found["rest"]
    if version is not None and version not in VERSIONS:
        raise Refused(f"the API version {version} is not one of those that this proxy knows", status=400)
    for route in _ROUTES:
        if method in route.methods and route.unversioned == (version is None) and re.fullmatch(route.path, rest):
            kept = _checked_query(query, route)
            address = f"/v{version}/{rest}" if version else f"/{rest}"
            about = _ABOUT.match(rest)
            return Call(
                method,
                address + (f"?{urlencode(kept)}" if kept else ""),
                route.body,
                route.describe,
                kept,
                about[0] if about else "",
            )
    raise Refused("the platform's agents need no such call")


def _checked_query(query: str, route: _Route) -> dict[str, str]:
    values: dict[str, str] = {}
    for part in query.split("&") if query else []:
        key, equals, coded = part.partition("=")
        if not equals or not _KEY.fullmatch(key) or key in values or key not in route.query:
            raise Refused("its query holds what the call does not need")
        check, value = route.query[key], _decoded(coded)
        if not (check(value) if callable(check) else check.fullmatch(value)):
            raise Refused(f"{key} has a value that the call does not need")
        values[key] = value
    if not route.needed <= set(values):
        raise Refused("its query is incomplete")
    return values


def _decoded(coded: str) -> str:
    try:
        return unquote_to_bytes(coded.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise Refused("its query is not text") from None
