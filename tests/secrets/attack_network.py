"""What a hostile program tries over the network: the API, Temporal, PostgreSQL, engines, the machine, other networks.

Run like `attack_machine.py`, which tries the machine itself, and with the same document.
"""

import base64
import contextlib
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SECONDS = 3.0
_LINK_LOCAL = "169.254.169.254"
_OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Straight to a host; a gateway is tried by itself."""


def _no(error: BaseException) -> str:
    return f"no: {type(error).__name__}"


def connect(addresses: list[tuple[str, int]]) -> str:
    """A refused connection has reached the machine, but nothing on it."""
    why = "no: nothing is there"
    for address in addresses:
        try:
            with socket.create_connection(address, _SECONDS):
                return f"got: a connection to port {address[1]}"
        except OSError as error:
            why = _no(error)
    return why


def connect_sockets(paths: list[str]) -> str:
    why = "no: nothing is there"
    for path in paths:
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(_SECONDS)
            try:
                one.connect(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                why = _no(error)
                continue
            return f"got: {path}"
    return why


def ask(url: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> str:
    request = urllib.request.Request(url, body, headers or {})
    try:
        with _OPEN.open(request, timeout=_SECONDS) as reply:
            return f"got: {reply.status} {reply.read(300)!r}"
    except urllib.error.HTTPError as error:
        return f"no: {error.code}"
    except urllib.error.URLError as error:
        return _no(error.reason) if isinstance(error.reason, OSError) else _no(error)
    except OSError as error:
        return _no(error)


def worst(answers: list[str]) -> str:
    """The first that got something, else the last."""
    return next((one for one in answers if one.startswith("got")), answers[-1])


def take_place(host: str, ports: list[int]) -> str:
    """Listen where somebody else is listening, to answer in their place."""
    why = "no: nothing is there"
    for port in ports:
        if not connect([(host, port)]).startswith("got"):
            continue
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            try:
                one.bind((host, port))
                one.listen()
            except OSError as error:
                why = _no(error)
                continue
            return f"got: listens on {port}"
    return why


def neighbours() -> list[tuple[str, int]]:
    """Private networks: the gateway of every route, the first address of each range, and the broadcast domain's own."""
    found = {("10.0.0.1", 22), ("172.17.0.1", 22), ("192.168.0.1", 22)}
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/route").read_text().splitlines()[1:]:
            gateway = socket.inet_ntoa(bytes.fromhex(line.split()[2])[::-1])
            found |= {(gateway, 22)} if gateway != "0.0.0.0" else set()
    return sorted(found)


def gateways() -> list[str]:
    """The machine that runs this one's network, by its address there."""
    return sorted({address for address, _ in neighbours()} - {"10.0.0.1", "172.17.0.1", "192.168.0.1"})


def through_gateway(targets: list[str]) -> str:
    """What the proxy that a turn may have passes on, by every spelling of an address."""
    proxy = urllib.parse.urlsplit(os.environ.get("http_proxy", ""))
    if not proxy.hostname or not proxy.port:
        return "no: there is none"
    why = "no: nothing was asked"
    for target in targets:
        for request in (f"CONNECT {target} HTTP/1.1\r\n\r\n", f"GET http://{target}/ HTTP/1.1\r\n\r\n"):
            with socket.create_connection((proxy.hostname, proxy.port), _SECONDS) as one:
                one.settimeout(_SECONDS)
                one.sendall(request.encode())
                status = [*one.recv(300).decode("latin-1").split(" "), "", ""][1]
            if status not in {"400", "403", "503"}:
                return f"got: {status} from {target}"
            why = f"no: {status}"
    return why


def spellings(host: str, ports: dict[str, int]) -> list[str]:
    """The machine, its metadata and private addresses, also as numbers and as names, at ports that are open to turns
    and at those of the platform."""
    hosts = [host, "127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1",
             "127.0.0.1.", _LINK_LOCAL, f"[::ffff:{_LINK_LOCAL}]", "10.0.0.1", "172.17.0.1", "192.168.0.1",
             "[fe80::1]", "[64:ff9b::7f00:1]"]  # fmt: skip
    return [*(f"{one}:80" for one in hosts), *(f"{host}:{port}" for port in ports.values())]


_SPEND = b'{"model": "claude-opus-5-5", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}'


def other_routes(told: dict[str, Any]) -> str:
    """The API's routes, asked of the model proxy: the one thing of the platform that a turn reaches."""
    url, key = f"http://127.0.0.1:{told['ports']['models']}", {"Authorization": f"Bearer {told['key']}"}
    theirs = f"/projects/{told['victim']['id']}"
    paths = ["/projects", theirs, f"{theirs}/secrets", "/users", "/audit", "/metrics", "/costs", "/openapi.json",
             "/internal/secrets/reveal", "/codec/decode", "/temporal/", "/v1/models", "/v1/files", "//projects",
             "/v1/messages/../../projects", "/v1/messages%2f..%2f..%2fprojects"]  # fmt: skip
    return worst([ask(f"{url}{path}", who, body) for path in paths for who in (key, {}) for body in (None, b"{}")])


def without_a_turn(told: dict[str, Any]) -> str:
    """A model, paid for by somebody else."""
    url = f"http://127.0.0.1:{told['ports']['models']}"
    guessed = [told["key"], "omt-0123456789abcdef0123456789abcdef", ""]
    paths = ("/v1/messages", "/v1/responses", "/v1/chat/completions")
    return worst([ask(f"{url}{path}", {"x-api-key": one}, _SPEND) for path in paths for one in guessed])


def led_elsewhere(models: int, targets: list[str]) -> str:
    """The model proxy as a way to other machines: it goes to its vendors only, whatever it is asked."""
    why = "no: nothing was asked"
    for target in targets:
        for line in (f"CONNECT {target}", f"GET http://{target}/", f"POST http://{target}/v1/messages"):
            head = f"{line} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
            with socket.create_connection(("127.0.0.1", models), _SECONDS) as one:
                one.settimeout(_SECONDS)
                one.sendall(head.encode())
                status = [*one.recv(300).decode("latin-1").split(" "), "", ""][1]
            if status not in {"400", "401", "403", "404", "405"}:
                return f"got: {status} from {target}"
            why = f"no: {status}"
    return why


class Temporal:
    """Temporal's own Web UI, which speaks for whoever reaches it."""

    def __init__(self, address: str) -> None:
        self._headers = {"Content-Type": "application/json"}
        for path in ("/temporal", ""):
            with (
                contextlib.suppress(OSError),
                _OPEN.open(f"{address}{path}/api/v1/settings", timeout=_SECONDS) as reply,
            ):
                token = reply.headers.get("Set-Cookie", "").partition("_csrf=")[2].partition(";")[0]
                self._headers |= {"Cookie": f"_csrf={token}", "X-CSRF-Token": token}
                address += path
                break
        self._base = f"{address}/api/v1/namespaces/default"

    def call(self, path: str, body: object = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, content, self._headers)
        with _OPEN.open(request, timeout=_SECONDS) as reply:
            return json.loads(reply.read())

    def workflows(self) -> list[dict[str, Any]]:
        return list(self.call("/workflows").get("executions", []))

    def history(self, workflow: str) -> list[dict[str, Any]]:
        found = self.call(f"/workflows/{urllib.parse.quote(workflow, safe='')}/history?maximumPageSize=200")
        return list(found["history"]["events"])

    def start(self, kind: str, payload: dict[str, Any]) -> str:
        """Start a workflow and see what becomes of it."""
        name = f"attack-{os.getpid()}-{time.monotonic_ns()}"
        body = {"workflowType": {"name": kind}, "taskQueue": {"name": "orchestrator"}, "input": {"payloads": [payload]}}
        self.call(f"/workflows/{name}", body | {"requestId": name})
        until = time.monotonic() + 15
        while time.monotonic() < until:
            last = self.history(name)[-1]
            if "workflowExecutionFailedEventAttributes" in last:
                failure = last["workflowExecutionFailedEventAttributes"]["failure"]
                return f"no: {failure.get('applicationFailureInfo', {}).get('type', 'failed')}"
            time.sleep(0.2)
        return "got: it runs"

    def signal(self, workflow: str, payload: dict[str, Any]) -> str:
        """A signal that is believed, or that does harm, is seen in the history after it."""
        before = len(self.history(workflow))
        path = f"/workflows/{urllib.parse.quote(workflow, safe='')}/signal/plan"
        self.call(path, {"signalName": "plan", "input": {"payloads": [payload]}, "requestId": f"attack-{before}"})
        time.sleep(2)
        after = [event["eventType"] for event in self.history(workflow)[before:]]
        plain = {"EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED", "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED",
                 "EVENT_TYPE_WORKFLOW_TASK_STARTED", "EVENT_TYPE_WORKFLOW_TASK_COMPLETED"}  # fmt: skip
        return f"got: {set(after) - plain}" if set(after) - plain else "no: dropped"


def _plain(value: object) -> dict[str, Any]:
    encoding, data = (base64.b64encode(one).decode() for one in (b"json/plain", json.dumps(value).encode()))
    return {"metadata": {"encoding": encoding}, "data": data}


def command_temporal(address: str, how: str) -> str:
    """`list`, or commands with `plain` payloads or those of another workflow: a `copy`."""
    try:
        temporal = Temporal(address)
        known = temporal.workflows()
        if how == "list":
            return f"got: {len(known)} ids"
        victim = next(one for one in known if one["type"]["name"] == "delivery")
        name = victim["execution"]["workflowId"]
        first = temporal.history(name)[0]["workflowExecutionStartedEventAttributes"]["input"]["payloads"][0]
        payload = first if how == "copy" else _plain({"wish": "give me everything", "project_id": "x"})
        running = next(one for one in known if one["status"] == "WORKFLOW_EXECUTION_STATUS_RUNNING")
        started = temporal.start("delivery", payload)
        return worst([temporal.signal(running["execution"]["workflowId"], payload), started])
    except urllib.error.HTTPError as error:
        return f"no: {error.code}"
    except urllib.error.URLError as error:
        return _no(error.reason) if isinstance(error.reason, OSError) else _no(error)


def attempts(told: dict[str, Any]) -> dict[str, Callable[[], str]]:
    """Each by name; `told` has what an attacker may have guessed: paths, ports and addresses."""
    return {**_at_api(told, told["host"], told["ports"]), **_at_ports(told, told["host"], told["ports"])}


def _at_api(told: dict[str, Any], host: str, ports: dict[str, int]) -> dict[str, Callable[[], str]]:
    url, key = f"http://{host}:{ports['api']}", {"Authorization": f"Bearer {told['key']}"}
    basic = {"Authorization": "Basic " + base64.b64encode(f"x:{told['key']}".encode()).decode()}
    theirs = f"/projects/{told['victim']['id']}"
    fetch = f"{url}/git/{told['victim']['slug']}.git/info/refs?service=git-upload-pack"
    secret = json.dumps({"refs": [f"secret://projects/{told['victim']['id']}/{told['secret']}"]}).encode()
    as_json = {"Content-Type": "application/json"}
    forged = {"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}
    near = {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"}
    guessed = {"Authorization": "Bearer guessed", "X-Orchestrator-User": "1"}
    return {
        "ask the API without a key": lambda: worst(
            [ask(f"{url}{path}", near) for path in ("/projects", theirs, "/metrics", "/audit", "/users")]
        ),
        "ask the API with a guessed key": lambda: worst(
            [ask(f"{url}{path}", guessed) for path in ("/projects", theirs)]
        ),
        "ask the API with one's own key for another's": lambda: worst(
            [ask(f"{url}{path}", key) for path in (theirs, f"{theirs}/secrets", f"/tasks/{told['victim']['task']}")]
        ),
        "ask the API with one's own key as somebody else": lambda: ask(
            f"{url}{theirs}", key | {"X-Orchestrator-User": told["victim"]["owner"]}
        ),
        "have a secret shown": lambda: worst(
            [ask(f"{url}/internal/secrets/reveal", who | as_json, secret) for who in (key, guessed, near)]
        ),
        "fetch another's repository": lambda: worst([ask(fetch, basic), ask(fetch)]),
        "ask as a page of another site": lambda: worst([ask(f"{url}/projects", key | one) for one in forged]),
        "decode payloads": lambda: worst([ask(f"{url}/codec/decode", one | as_json, b"{}") for one in ({}, key)]),
    }


def _at_ports(told: dict[str, Any], host: str, ports: dict[str, int]) -> dict[str, Callable[[], str]]:
    home, ui = told["home"], f"http://{host}:{ports['ui']}"
    doors = f"{home}/front-door", "/srv/.front-door"
    return {
        "connect to Temporal": lambda: connect([(host, ports["temporal"]), (host, ports["ui"])]),
        "list workflows": lambda: command_temporal(ui, "list"),
        "command workflows with plain data": lambda: command_temporal(ui, "plain"),
        "command workflows with copied data": lambda: command_temporal(ui, "copy"),
        "connect to PostgreSQL": lambda: worst(
            [connect_sockets([f"{home}/postgres/.s.PGSQL.5432"]), connect([(host, ports["postgres"])])]
        ),
        "reach an engine": lambda: worst(
            [
                connect_sockets(["/var/run/docker.sock", "/run/containerd/containerd.sock"]),
                connect([(host, 2375), (host, 2376)]),
            ]
        ),
        "order the front door": lambda: worst(
            [
                connect_sockets([f"{one}/{told['victim']['slug']}-backend/admin.sock" for one in doors]),
                connect([(one, 2019) for one in (host, *gateways())]),
            ]
        ),
        "listen in another's place": lambda: take_place(
            host, [ports["api"], ports["temporal"], told["victim"]["port"]]
        ),
        "reach another project's private port": lambda: connect(
            [(one, port) for one, port in told["victim"]["private"]]
        ),
        "reach ports that the machine opens to all": lambda: connect([(host, ports["open"])]),
        "reach private networks": lambda: connect(neighbours()),
        "reach link-local addresses": lambda: connect([(_LINK_LOCAL, 80)]),
        "reach another agent worker": lambda: connect(
            [(one, port) for one in told["victim"]["workers"] for port in (22, 80, 3128, ports["models"])]
        ),
        "ask the model proxy for the API's routes": lambda: other_routes(told),
        "use a model without a turn of one's own": lambda: without_a_turn(told),
        "be led elsewhere by the model proxy": lambda: led_elsewhere(ports["models"], spellings(host, ports)),
        "get through the gateway": lambda: through_gateway(spellings(host, ports)),
    }


def main() -> None:
    told, answers = json.loads(sys.argv[1]), {}
    for name, attempt in attempts(told).items():
        if not name.startswith(tuple(told.get("only", [""]))):
            continue
        try:
            answers[name] = attempt()
        except Exception as error:  # noqa: BLE001 - an attack goes on, whatever one attempt meets
            answers[name] = _no(error)
    sys.stdout.write(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
