"""The only descriptions of containers, volumes and networks that pass: exact keys, each with the values it may have.

JSON is parsed and written anew, so that no trick of an encoding, a key's case or a repeated key means one thing here
and another to the engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from infra.engine_proxy.names import MODELS, NETWORK, ONLINE, SHARED, TAG, VOLUME
from infra.engine_proxy.refusals import Refused

MARK = "codegen-orchestrator.mark"
MAX_MEMORY = 16 * 1024**3
MAX_PIDS = 4096
_MAX_DEPTH = 12
_LABEL = re.compile(r"codegen-orchestrator\.[a-z-]{1,40}")
_PLACES = frozenset({"/workspace", "/home/worker", "/venv", "/gateway"})
"""Where volumes are mounted: programs of the image cannot be replaced."""
_MODEL_PLACE = "/model"

Check = Callable[[object], bool]


def strict_json(content: bytes) -> Any:  # noqa: ANN401 - any JSON
    """The one value that everybody reads in these bytes. Raises Refused."""
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused("its body is not plain JSON") from None
    _shallow(value, _MAX_DEPTH)
    return value


def container_body(value: object, query: Mapping[str, str]) -> object:
    """What `DockerContainerEngine` asks for: no privilege, no capability, no path of the host, bounded.

    Only containers without code of an agent or a project get a network. Checks of a commit share the loopback device of
    its services.
    """
    _object(value, _CONTAINER, needed={"Image", "User", "Cmd", "HostConfig"}, what="the container")
    network = value["HostConfig"]["NetworkMode"] if isinstance(value, dict) else ""
    shared = re.fullmatch(SHARED, network)
    allowed = shared[1] == query["name"] if shared else network == "none" or re.fullmatch(ONLINE, query["name"])
    if not allowed:
        raise Refused("a container of this name has no network")
    return value


def volume_body(value: object, _: Mapping[str, str]) -> object:
    return _object(value, {"Name": _matches(VOLUME), "Labels": _labels}, needed={"Name"}, what="the volume")


def network_body(value: object, _: Mapping[str, str]) -> object:
    if value != _NETWORK:
        raise Refused("the network is not the one that agents have")
    return value


def no_body(value: object, _: Mapping[str, str]) -> object:
    """An image keeps what its container had: nothing is said about it here."""
    return _object(value, {}, needed=set(), what="the image")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len({key.lower() for key in found}) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _no_constant(_: str) -> object:
    raise ValueError("not a number of JSON")


def _shallow(value: object, left: int) -> None:
    if left == 0:
        raise Refused("its body is nested too deeply")
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _shallow(one, left - 1)


def _object(value: object, checks: Mapping[str, Check], *, needed: set[str], what: str) -> object:
    if not isinstance(value, dict):
        raise Refused(f"{what} is not described by an object")
    for key, one in value.items():
        if key not in checks:
            raise Refused(f"{what} is described with a key that agents do not need")
        if not checks[key](one):
            raise Refused(f"{key} of {what} has a value that agents do not need")
    if not needed <= set(value):
        raise Refused(f"the description of {what} lacks {', '.join(sorted(needed - set(value)))}")
    return value


def _is(*allowed: object) -> Check:
    return lambda value: any(type(value) is type(one) and value == one for one in allowed)


def _matches(pattern: str) -> Check:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _between(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _list_of(check: Check, least: int = 0) -> Check:
    return lambda value: isinstance(value, list) and len(value) >= least and all(check(one) for one in value)


def _labels(value: object) -> bool:
    return isinstance(value, dict) and all(_LABEL.fullmatch(key) and _text(one) for key, one in value.items())


def _mount(value: object) -> bool:
    is_models = isinstance(value, dict) and value.get("Target") == _MODEL_PLACE
    keys = {"Type", "Source", "Target", *(("ReadOnly",) if is_models else ())}
    _object(value, _MODEL_MOUNT if is_models else _MOUNT, needed=keys, what="a mount")
    return True


def _host(value: object) -> bool:
    _object(value, _HOST, needed=_NEEDED, what="HostConfig")
    return True


_MOUNT: dict[str, Check] = {
    "Type": _is("volume"),
    "Source": _matches(VOLUME),
    "Target": lambda value: value in _PLACES if isinstance(value, str) else False,
    "ReadOnly": _is(True, False),
}
_MODEL_MOUNT: dict[str, Check] = {
    "Type": _is("volume"),
    "Source": _matches(MODELS),
    "Target": _is(_MODEL_PLACE),
    "ReadOnly": _is(True),
}
_HOST: dict[str, Check] = {
    "CapDrop": _is(["ALL"]),
    "SecurityOpt": _is(["no-new-privileges"]),
    "NetworkMode": _matches(f"none|{NETWORK}|{SHARED}"),
    "Memory": _between(4 * 1024**2, MAX_MEMORY),
    "NanoCpus": _between(1, 1024 * 10**9),
    "PidsLimit": _between(1, MAX_PIDS),
    "ReadonlyRootfs": _is(True, False),
    "Tmpfs": _is({"/tmp": "rw,exec,nosuid,nodev,mode=1777"}),
    "Ulimits": _is([{"Name": "core", "Soft": 0, "Hard": 0}]),
    "LogConfig": _is({"Type": "json-file", "Config": {"max-size": "64m", "max-file": "2"}}),
    "Mounts": _list_of(_mount),
}
_NEEDED = {"CapDrop", "SecurityOpt", "NetworkMode", "Memory", "PidsLimit", "LogConfig"}
_CONTAINER: dict[str, Check] = {
    "Image": _matches(TAG),
    "User": _is("1000:1000"),
    "Cmd": _list_of(_text, least=1),
    "Env": _list_of(_text),
    "WorkingDir": _matches(r"/[A-Za-z0-9_./-]{0,200}"),
    "Labels": _labels,
    "HostConfig": _host,
    "Tty": _is(False),
    "OpenStdin": _is(False),
    "StdinOnce": _is(False),
    "AttachStdin": _is(False),
    "AttachStdout": _is(True, False),
    "AttachStderr": _is(True, False),
    "NetworkDisabled": _is(False),
}
_NETWORK = {
    "Name": NETWORK,
    "Driver": "bridge",
    "Options": {"com.docker.network.bridge.enable_icc": "false"},
    "IPAM": {"Driver": "default", "Config": []},
    "CheckDuplicate": True,
    "Labels": {MARK: "1"},
}
