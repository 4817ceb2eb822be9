"""Calls with which whoever has the agents' Temporal worker would become root on the host, or reach what is not theirs.

Raw requests, as no client would send some of them. `{own}` is a container of agents, `{foreign}` one of somebody else.
"""

import json
from typing import Any

OWN, FOREIGN = "turn-task1-1", "0123456789ab"
CREATE = "/v1.41/containers/create?name=venv-abc"
SET_UP = "codegen-orchestrator-worker-environment-setup-1"


def harmless(**host: object) -> dict[str, Any]:
    """A container that agents may have; `host` changes its HostConfig."""
    confined: dict[str, object] = {
        "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"], "NetworkMode": "none", "Memory": 2 * 1024**3,
        "NanoCpus": 10**9, "PidsLimit": 1024,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "64m", "max-file": "2"}},
    }  # fmt: skip
    return {
        "Image": "codegen-orchestrator-worker:0123",
        "User": "1000:1000",
        "Cmd": ["true"],
        "HostConfig": confined | host,
    }


def request(method: str, target: str, body: bytes | str = b"", *headers: str, version: str = "1.1") -> bytes:
    content = body.encode() if isinstance(body, str) else body
    length = (
        [f"Content-Length: {len(content)}"]
        if content and not any("ength" in one or "ncoding" in one for one in headers)
        else []
    )
    lines = [f"{method} {target} HTTP/{version}", "Host: engine", "Content-Type: application/json", *length, *headers]
    return "\r\n".join([*lines, "", ""]).encode() + content


POWERFUL = json.dumps({"Privileged": True, "Binds": ["/:/host"]})

POWERS: dict[str, Any] = {
    "Privileged": True,
    "privileged": True,
    "CapAdd": ["SYS_ADMIN"],
    "CapDrop": [],
    "SecurityOpt": ["seccomp=unconfined"],
    "Binds": ["/:/host"],
    "Mounts": [{"Target": "/venv", "Source": "/", "Type": "bind", "ReadOnly": False}],
    "Devices": [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda", "CgroupPermissions": "rwm"}],
    "DeviceCgroupRules": ["a *:* rwm"],
    "PidMode": "host",
    "IpcMode": "host",
    "UsernsMode": "host",
    "NetworkMode": "host",
    "VolumesFrom": ["orchestrator_postgres_1"],
    "CgroupParent": "/",
    "Sysctls": {"kernel.msgmax": "1"},
    "PortBindings": {"80/tcp": [{"HostPort": "80"}]},
    "Runtime": "other",
    "Tmpfs": {"/tmp": "rw", "/usr": "exec,suid"},
    "LogConfig": {"Type": "syslog", "Config": {"syslog-address": "unixgram:///run/systemd/journal/socket"}},
    "OomScoreAdj": -1000,
    "Memory": 0,
    "PidsLimit": -1,
    "RestartPolicy": {"Name": "always"},
}
"""Keys of HostConfig, each with a value that gives power over the host or takes a limit away."""

_DISGUISED = {
    "an escaped key": ('"HostConfig": {', '"HostConfig": {"Privileg\\u0065d": true, '),
    "a key that Go folds to another": ('"HostConfig": {', '"HostConfig": {"Mount\u017f": [], '),
    "a repeated key": ('"CapDrop": ["ALL"]', '"CapDrop": ["ALL"], "CapDrop": ["NET_RAW"]'),
    "a repeated key of another case": ('"User": "1000:1000"', '"User": "1000:1000", "user": "0:0"'),
    "another user": ('"User": "1000:1000"', '"User": "0:0"'),
    "no user": ('"User": "1000:1000", ', ""),
    "another image": ('"Image": "codegen-orchestrator-worker:', '"Image": "orchestrator_api:'),
    "another start program": ('"Cmd":', '"Entrypoint": ["/bin/sh"], "Cmd":'),
    "a second document": ('{"Image"', '{"Privileged": true} {"Image"'),
    "not a number": ('"NanoCpus": 1000000000', '"NanoCpus": NaN'),
    "a network": ('"NetworkMode": "none"', '"NetworkMode": "container:postgres"'),
}
DISGUISED = {name: json.dumps(harmless()).replace(*change, 1) for name, change in _DISGUISED.items()}

TARGETS = [
    ("POST", "/v1.23/containers/{own}/start", POWERFUL),
    ("POST", "/v1.41/containers/{own}/start", POWERFUL),
    ("POST", "/v1.99/containers/{own}/start", ""),
    ("POST", "/containers/{own}/start", POWERFUL),
    ("POST", "/v1.041/containers/{own}/start", ""),
    ("POST", "/v1.41/containers/{own}/start?checkpoint=x&checkpoint-dir=/", ""),
    ("POST", "/v1.41/containers/{own}/exec", '{"Cmd": ["sh"], "Privileged": true}'),
    ("POST", "/v1.41/exec/abc/start", ""),
    ("POST", "/v1.41/containers/{own}/attach?stdin=1&stream=1", ""),
    ("POST", "/v1.41/containers/{own}/update", '{"Memory": 0}'),
    ("POST", "/v1.41/containers/{own}/rename?name=venv-x", ""),
    ("POST", "/v1.41/containers/{own}/kill?signal=STOP", ""),
    ("GET", "/v1.41/containers/{own}/export", ""),
    ("POST", "/v1.41/commit?container={own}&repo=debian&tag=bookworm-slim", "{}"),
    ("POST", "/v1.41/containers/{foreign}/stop", ""),
    ("DELETE", "/v1.41/containers/{foreign}", ""),
    ("GET", "/v1.41/containers/{foreign}/json", ""),
    ("GET", "/v1.41/containers/{foreign}/archive?path=/", ""),
    ("PUT", "/v1.41/containers/{foreign}/archive?path=/", "x"),
    ("GET", "/v1.41/containers/{own}%2f..%2f{foreign}/json", ""),
    ("GET", "/v1.41/containers/{own}/../{foreign}/json", ""),
    ("GET", "/v1.41//containers/{foreign}/json", ""),
    ("GET", "//v1.41/containers/{foreign}/json", ""),
    ("GET", "http://engine/v1.41/containers/{foreign}/json", ""),
    ("GET", "/v1.41/containers/%74urn-task1-1/json", ""),
    ("GET", "/v1.41/containers/json?all=1", ""),
    ("GET", '/v1.41/containers/json?filters={"label":["codegen-orchestrator.mark"],"name":["x"]}', ""),
    ("POST", "/v1.41/containers/create?name=postgres", json.dumps(harmless())),
    ("POST", "/v1.41/containers/create?name=venv-a&name=postgres", json.dumps(harmless())),
    ("POST", "/v1.41/containers/create?name=turn-a", json.dumps(harmless(NetworkMode="orchestrator-agents"))),
    ("POST", "/v1.41/containers/create?name=turn-a", json.dumps(harmless(NetworkMode="container:accept-a-services"))),
    ("POST", "/v1.41/containers/create?name=accept-a", json.dumps(harmless(NetworkMode="container:accept-b-services"))),
    ("POST", "/v1.41/containers/create?name=accept-a", json.dumps(harmless(NetworkMode="container:accept-a"))),
    ("POST", "/v1.41/containers/create?name=accept-a", json.dumps(harmless(NetworkMode="orchestrator-agents"))),
    ("POST", "/v1.41/containers/create?name=venv-a&platform=linux", json.dumps(harmless())),
    ("POST", "/v1.41/containers/create", json.dumps(harmless())),
    ("POST", "/v1.41/volumes/create", '{"Name": "venv-x", "DriverOpts": {"type": "none", "o": "bind", "device": "/"}}'),
    ("POST", "/v1.41/volumes/create", '{"Name": "venv-x", "Labels": {}, "Driver": "other"}'),
    ("POST", "/v1.41/volumes/create", '{"Name": "orchestrator_postgres", "Labels": {}}'),
    ("DELETE", "/v1.41/volumes/orchestrator_postgres", ""),
    ("POST", "/v1.41/volumes/prune", ""),
    ("GET", "/v1.41/volumes", ""),
    ("POST", "/v1.41/networks/create", '{"Name": "orchestrator-agents", "Driver": "macvlan"}'),
    ("POST", "/v1.41/networks/orchestrator-agents/connect", '{"Container": "x"}'),
    ("DELETE", "/v1.41/networks/orchestrator-agents", ""),
    ("POST", "/v1.41/build?t=codegen-orchestrator-worker%3Ax&networkmode=host", "x"),
    ("POST", "/v1.41/build?t=codegen-orchestrator-worker%3Ax&%6eetworkmode=host", "x"),
    ("POST", "/v1.41/build?t=debian%3Abookworm-slim", "x"),
    ("POST", "/v1.41/build?t=codegen-orchestrator-worker%3Ax&t=debian", "x"),
    ("POST", "/v1.41/build?t=codegen-orchestrator-worker%3Ax&remote=http://x/", ""),
    ("POST", "/v1.41/build?t=codegen-orchestrator-worker%3Ax;cgroupparent=/", "x"),
    ("POST", "/v1.41/images/create?fromImage=debian", ""),
    ("POST", "/v1.41/images/load", "x"),
    ("GET", "/v1.41/images/{foreign}/get", ""),
    ("DELETE", "/v1.41/images/debian:bookworm-slim", ""),
    ("POST", "/v1.41/images/codegen-orchestrator-worker:x/tag?repo=debian&tag=bookworm-slim", ""),
    ("POST", "/v1.41/commit?container=postgres&repo=codegen-orchestrator-worker&tag=x", "{}"),
    ("POST", "/v1.41/commit?container=venv-a&repo=codegen-orchestrator-worker&tag=x", "{}"),
    ("POST", f"/v1.41/commit?container={SET_UP}&repo=debian&tag=bookworm-slim", "{}"),
    ("POST", f"/v1.41/commit?container={SET_UP}&repo=codegen-orchestrator-worker&tag=x&changes=USER+root", "{}"),
    ("POST", f"/v1.41/commit?container={SET_UP}&repo=codegen-orchestrator-worker&tag=x", '{"User": "root"}'),
    ("GET", "/v1.41/secrets", ""),
    ("POST", "/v1.41/swarm/init", "{}"),
    ("POST", "/v1.41/plugins/pull", "{}"),
    ("POST", "/v1.41/session", ""),
    ("POST", "/v1.41/grpc", ""),
    ("GET", "/v1.41/events", ""),
    ("GET", "/v1.41/system/df", ""),
    ("OPTIONS", "/v1.41/containers/{own}/start", ""),
]
"""Methods, targets and bodies that never pass."""

_START = f"/v1.41/containers/{OWN}/start"
_SECOND = request("POST", "/v1.41/containers/postgres/stop")
ENCODINGS = {
    "a body in chunks": request("POST", CREATE, b"2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    "a start with a body in chunks": request("POST", _START, b"2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    "both framings": request("POST", CREATE, b"0\r\n\r\n" + _SECOND, "Content-Length: 5", "Transfer-Encoding: chunked"),
    "a strange encoding": request("POST", CREATE, b"x", "Transfer-Encoding: xchunked"),
    "two lengths": request("POST", CREATE, _SECOND, "Content-Length: 0", f"Content-Length: {len(_SECOND)}"),
    "a signed length": request("POST", CREATE, _SECOND, f"Content-Length: +{len(_SECOND)}"),
    "a folded header": request("POST", CREATE, b"", "X: a\r\n Transfer-Encoding: chunked"),
    "a space before the colon": request("POST", CREATE, b"x", "Content-Length : 1"),
    "an upgrade": request("POST", _START, b"", "Connection: Upgrade", "Upgrade: tcp"),
    "an upgrade to HTTP/2": request("GET", "/_ping", b"", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
    "HTTP/1.0": request("POST", _START, b"", version="1.0"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x00\x05hello",
    "a bare line feed": _START.join(["POST ", " HTTP/1.1\nHost: engine\nContent-Length: 2\n\n{}"]).encode(),
    "a NUL in the address": request("GET", "/v1.41/containers/turn-a\x00b/json"),
    "an address that is not ASCII": request("GET", "/v1.41/containers/turn-\u00e9/json"),
    "UTF-16": request("POST", CREATE, json.dumps(harmless(Privileged=True)).encode("utf-16")),
    "UTF-8 with a mark": request("POST", CREATE, json.dumps(harmless()).encode("utf-8-sig")),
    "bytes that are no text": request("POST", CREATE, b'{"Image": "\xff"}'),
    "deep nesting": request("POST", CREATE, b"[" * 60_000),
    "a compressed body": request("POST", CREATE, b"\x1f\x8b\x08\x00", "Content-Encoding: gzip"),
    "a description that is too large": request(
        "POST", CREATE, json.dumps(harmless() | {"Env": ["A=" + "x" * 140_000]})
    ),
}
"""Whole requests whose form is meant to be read in two ways, or not at all."""


def dangerous_requests() -> dict[str, bytes]:
    """All of them, by what they try."""
    found = {f"{method} {target}": request(method, _named(target), body) for method, target, body in TARGETS}
    found |= {
        f"create with {key}": request("POST", CREATE, json.dumps(harmless(**{key: value})))
        for key, value in POWERS.items()
    }
    found |= {f"create with {name}": request("POST", CREATE, body) for name, body in DISGUISED.items()}
    return found | ENCODINGS


def _named(target: str) -> str:
    return target.replace("{own}", OWN).replace("{foreign}", FOREIGN)
