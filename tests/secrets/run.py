"""One run of the product with secrets of every kind, watched, and then searched through and through."""

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from activities.adapters.containers.workspaces import HOME, WORKSPACE
from activities.adapters.playbooks.by_server import CONTAINER_SERVER
from activities.adapters.servers.container import BASE_IMAGE, LocalServers
from contracts.ids import secret_ref
from runtime.embedded import postgres
from tests.secrets import places
from tests.secrets.canaries import Canary, key_file_canaries, known_canary, new_canary
from tests.secrets.containers import Engine, look_at_server
from tests.secrets.scan import Allowed, Finding, Scan
from tests.secrets.watch import EngineWatch, FileWatch, ProcessWatch, watching
from tests.support.outside import answer
from tests.support.people.story import ENTITY, below
from tests.support.services.container_service import no_engine
from tests.support.stack import Said, Stack

SECRET = "PAYMENT_KEY"
PLANTED = "planted in the wish"
"""No secret: it goes with a person's words to wherever those go, and proves that the scan looks there."""
_PATIENCE_S = 60.0
"""The machine is shared, and a search keeps it busy."""
_LONGEST_S = 600.0
OUR_IMAGES = ("codegen-orchestrator-worker", "orchestrator-server")
GENERATED = ("ADMIN_TOKEN",)
OF_SERVICES = r"secret .*"
ALLOWED = [
    Allowed(r"home, keys: .*", r"platform .*", "the key files themselves, mode 0600; whoever has them is the platform"),
    Allowed(r"home, : postgres.password", r"platform database password", "the same for PostgreSQL, mode 0600"),
    Allowed(r"home, services: [^/]+/releases/[^/]+/env/\w+\.env", OF_SERVICES, "what a release is started with"),
    Allowed(r"server, files: srv/[^/]+/releases/[^/]+/env/[\w.]+\.(env|sh)", OF_SERVICES, "the same on a server"),
    Allowed(r"environments of processes: a deployed service, .*", OF_SERVICES, "the service that the secret is for"),
    Allowed(
        r"environments of processes: python[\d.]* -m (api(\.model_proxy)?|cli\.supervision)",
        r"platform database password",
        "the API and the model proxy connect to PostgreSQL; `up` starts them",
    ),
    Allowed(
        r"environments of processes: python[\d.]* -m (api\.model_proxy|cli\.host\.supervision|cli)", r"key for models",
        "the model proxy uses it; `up` was given it, and its supervisor starts the proxy again",
    ),
    Allowed(r"home, orders: [^/]+/\.?order.*", OF_SERVICES, "while a release is put in place: its input, mode 0600"),
    Allowed(r"home, runs: svc-.*/output\.log(\.1)?", OF_SERVICES, "what a service itself prints, mode 0600"),
    Allowed(r"server, docker logs: svc-.*", OF_SERVICES, "what a service itself prints, on its own server"),
    Allowed(r"command line: (user add|up)\b.*", r"platform (key of a person|web UI ticket)", "shown once"),
]  # fmt: skip
"""Everything else is a leak."""


@dataclass(frozen=True)
class ProofStack(Stack):
    """A platform whose commands, spans and metrics are looked at as well."""

    runtime: str = "process"
    collector: str = ""
    said: list[tuple[str, Said]] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return {
            **super().env,
            "ORCHESTRATOR_RUNTIME": self.runtime,
            "ORCHESTRATOR_WATCH_S": "2",
            # By TCP and with a password, as with a server of one's own; the usual socket needs none.
            "ORCHESTRATOR_POSTGRES_PORT": str(self.port_base + 3),
            "ORCHESTRATOR_WORKERS_METRICS": f"127.0.0.1:{self.port_base + 4}",
            "ORCHESTRATOR_MODEL_PROXY_PORT": str(self.port_base + 5),
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector,
        }

    def http(self) -> httpx.AsyncClient:
        client = super().http()
        client.timeout = httpx.Timeout(_PATIENCE_S)
        return client

    async def cli(
        self, *arguments: str, stdin: str = "", timeout: float = 120, env: dict[str, str] | None = None
    ) -> Said:
        said = await super().cli(*arguments, stdin=stdin, timeout=timeout, env=env)
        self.said.append((" ".join(arguments), said))
        return said


@dataclass
class Proof:
    """What was done and what was seen; the tests judge."""

    stack: ProofStack
    scan: Scan
    runtime: str
    began: datetime
    seen: dict[str, Any] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    ticket: str = ""
    planted: Canary = field(default_factory=lambda: known_canary(PLANTED, uuid4().hex))

    @property
    def leaks(self) -> set[Finding]:
        return {one for one in self.scan.leaks if one.canary != PLANTED}

    @property
    def planted_in(self) -> set[str]:
        """Kinds of places where the planted value was found."""
        return {one.place.partition(":")[0] for one in self.scan.leaks if one.canary == PLANTED}

    @property
    def server(self) -> str:
        return LocalServers(self.stack.home).container(CONTAINER_SERVER)

    def engines(self) -> list[Engine]:
        """The machine's own engine and that of the server."""
        if self.runtime != "docker":
            return []
        return [Engine("machine", repositories=OUR_IMAGES), Engine("server", ("docker", "exec", self.server))]


async def platform_canaries(stack: Stack) -> list[Canary]:
    """The platform's own keys, by their real values."""
    keys = stack.home / "keys"
    found = [
        known_canary("platform admin key", stack.admin_key()),
        known_canary("platform service key", (keys / "api-service.key").read_text().strip()),
        known_canary("platform bot key", (keys / "bot.key").read_text().strip()),
        known_canary("platform database password", (stack.home / "postgres.password").read_text().strip()),
        *key_file_canaries("platform payload key", keys / "payload.json"),
        *key_file_canaries("platform vault key", keys / "vault.json"),
    ]
    for file in (keys / "ssh").glob("*"):
        if b"PRIVATE KEY" in file.read_bytes():
            # Only the half that is secret: the file holds the public one as well.
            key = load_ssh_private_key(file.read_bytes(), password=None)
            assert isinstance(key, Ed25519PrivateKey)
            found.append(Canary("platform ssh key", key.private_bytes_raw()))
    return found


async def run(proof: Proof) -> None:
    """Secrets given in both ways, generated ones, a curious test, a service that prints what it was told."""
    stack, scan = proof.stack, proof.scan
    scan.knows([proof.planted, *await platform_canaries(stack), *await _given_out(proof)])
    name = f"p{uuid4().hex[:8]}"
    proof.seen["name"], proof.seen["project"] = name, (project := await stack.new_project(name))
    await _with_secret_set(proof, project)
    scan.knows(await _generated(proof, project))
    await _with_the_answer(proof, project)
    await _broken(proof, project)


async def _given_out(proof: Proof) -> list[Canary]:
    """Keys and links that are shown once, to whoever asked for them."""
    person = await proof.stack.ok("user", "add", str(uuid4().int % 2**40 + 2))
    link = json.loads(next(said for words, said in proof.stack.said if words.startswith("up")).out.splitlines()[-1])
    proof.ticket = link["web_ui_login_url"]
    return [
        known_canary("platform key of a person", person["api_key"]),
        known_canary("platform web UI ticket", proof.ticket.partition("ticket=")[2]),
    ]


async def _agent_token(proof: Proof, project: str) -> None:
    """Scoped to the project; its reply is the one place where it may be."""
    async with proof.stack.http() as http:
        reply = await http.post("/tokens", json={"project_id": project, "commands": ["task.show"]})
    proof.scan.knows([known_canary("token of an agent", reply.json()["token"])])
    async with httpx.AsyncClient(base_url=str(http.base_url)) as agent:
        headers = {"Authorization": f"Bearer {reply.json()['token']}"}
        proof.seen["agent may"] = (await agent.get("/tasks/none", headers=headers)).status_code
        proof.seen["agent may not"] = (await agent.get(f"/projects/{project}/secrets", headers=headers)).status_code


async def _with_secret_set(proof: Proof, project: str) -> None:
    stack = proof.stack
    await _agent_token(proof, project)
    wish = f"{ENTITY} [agent:needs-secret={SECRET}] [agent:curious-tests] [agent:note={proof.planted.text}]"
    started = (await stack.ok("delivery", "start", "--project", project, wish))["task_id"]
    for watch in proof.seen["watches"]:
        watch.mine.add(started.partition("-")[2])
    proof.seen["delivery"] = started
    await stack.question(project, _LONGEST_S)
    await places.look_at_temporal(proof.scan, await stack.client())
    await stack.ok("secret", "set", project, SECRET, stdin=proof.values["set"])
    task = await stack.finished(started, _LONGEST_S)
    assert task["state"] == "completed", task
    proof.seen["url"] = task["result"]["deployed_url"]
    proof.seen["set"] = await answer(proof.seen["url"], "/secret-status")


async def _generated(proof: Proof, project: str) -> list[Canary]:
    """What the platform made up itself, as its own processes may read it."""
    key = (proof.stack.home / "keys" / "api-service.key").read_text().strip()
    async with proof.stack.http() as http:
        body = {"refs": [secret_ref(project, name) for name in GENERATED]}
        reply = await http.post("/internal/secrets/reveal", json=body, headers={"Authorization": f"Bearer {key}"})
    values = reply.json()["values"]
    return [known_canary(f"secret {ref.rpartition('/')[2]}, generated", value) for ref, value in values.items()]


async def _with_the_answer(proof: Proof, project: str) -> None:
    stack = proof.stack
    await stack.cli("secret", "delete", project, SECRET)
    started = (await stack.ok("deploy", "start", project))["task_id"]
    asked = await stack.question(project, _LONGEST_S)
    await stack.ok("answer", asked["id"], "--secret", SECRET, stdin=proof.values["answer"])
    task = await stack.finished(started, _LONGEST_S)
    assert task["state"] == "completed", task
    proof.seen["answer"] = await answer(proof.seen["url"], "/secret-status")


async def _broken(proof: Proof, project: str) -> None:
    stack = proof.stack
    started = (await stack.ok("delivery", "start", "-p", project, f"{ENTITY} [agent:print-environment]"))["task_id"]
    proof.seen["broken"] = await stack.finished(started, _LONGEST_S)
    deploy = below(started)[1]
    proof.seen["broken deploy"] = await stack.task(deploy)
    proof.seen["broken logs"] = await stack.cli("task", "logs", deploy)


async def look_everywhere(proof: Proof) -> None:
    """After the run."""
    stack, scan = proof.stack, proof.scan
    client = await stack.client()
    proof.seen["payloads"] = await places.look_at_temporal(scan, client)
    workflows = [workflow.id async for workflow in client.list_workflows()]
    await _look_from_outside(proof, workflows)
    url = postgres.prepare(stack.settings.postgres_dir, stack.port_base + 3).url
    await places.look_at_postgres(scan, "PostgreSQL, rows", url)
    proof.seen["repositories"] = await places.look_at_repositories(scan, "git objects", stack.home / "forge")
    await asyncio.to_thread(_look_at_the_machine, proof)


def _look_at_the_machine(proof: Proof) -> None:
    home, scan = proof.stack.home, proof.scan
    places.look_at_sqlite(scan, "Temporal, rows", home / "temporal" / "temporal.db")
    for part in home.iterdir():
        if part.is_dir():
            places.look_at_files(scan, f"home, {part.name}", part)
        else:
            scan.look("home, ", part.name, part.read_bytes(), part.stat().st_mode)
    for engine in proof.engines():
        engine.knows_layers_of(BASE_IMAGE)
        engine.look_at_everything(scan, proof.began)
    if proof.runtime == "docker":
        look_at_server(scan, proof.server)


async def _look_from_outside(proof: Proof, workflows: list[str]) -> None:
    """What people and programs are shown."""
    stack, scan = proof.stack, proof.scan
    task, project = proof.seen["delivery"], proof.seen["project"]
    of_task = [f"task {verb} {task}" for verb in ("show", "logs", "watch")]
    of_project = [f"{words} {project}" for words in ("project show", "deploy status", "secret list")]
    for words in ("status", "doctor", "task list", "question list", *of_task, *of_project):
        await stack.cli(*words.split())
    for words, said in stack.said:
        scan.look("command line", words, said.out + said.err)
    async with stack.http() as http:
        proof.seen["routes"] = await places.look_at_api(scan, http)
    async with httpx.AsyncClient(base_url=stack.settings.api_url, timeout=_PATIENCE_S) as browser:
        proof.seen["web ui payloads"] = await places.look_at_web_ui(scan, browser, proof.ticket, workflows)
        scan.look("metrics", "workers", (await browser.get(f"http://127.0.0.1:{stack.port_base + 4}/metrics")).content)


def digest(value: str) -> str:
    """As a service of the scripted agent shows which value it has."""
    return hashlib.sha256(value.encode()).hexdigest()[:12]


@contextmanager
def collecting() -> Iterator[tuple[str, list[bytes]]]:
    """A collector of traces: its address, and what it was sent."""
    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: a test's output is for its failures."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()


@asynccontextmanager
async def proven(stack: ProofStack, collected: list[bytes]) -> AsyncIterator[Proof]:
    """The whole run and the whole search; the platform still runs when this yields."""
    try:
        yield await _proven(stack, collected)
    finally:
        await stack.cli("down", "--services", timeout=120)
        if no_engine() is None:
            await LocalServers(stack.home).remove(CONTAINER_SERVER)


async def _proven(stack: ProofStack, collected: list[bytes]) -> Proof:
    given = {"set": new_canary("secret set"), "answer": new_canary("secret in the answer", lines=3)}
    keys = {"environment": new_canary("key for models"), "vault": new_canary("key for models in the vault")}
    scan = Scan([*given.values(), *keys.values()], ALLOWED)
    proof = Proof(stack, scan, stack.runtime, datetime.now(UTC), values={name: one.text for name, one in given.items()})
    engines = [EngineWatch(scan, engine) for engine in proof.engines()]
    if engines:
        engines[0].paths = [WORKSPACE, HOME]
    proof.seen["watches"] = engines[:1]
    processes, files = ProcessWatch(scan), FileWatch(scan, stack.home)
    with watching(processes, files, *engines):
        with_key = {"ANTHROPIC_API_KEY": keys["environment"].text, "ORCHESTRATOR_AGENT": "scripted"}
        said = await stack.cli("up", "--detach", "--json", timeout=400, env=with_key)
        assert said.code == 0, said.out + said.err
        stored = ("secret", "set", "--platform", "OPENAI_API_KEY")
        said = await stack.cli(*stored, stdin=keys["vault"].text)
        assert said.code == 0, said.out + said.err
        await run(proof)
    proof.seen["looks"] = {type(one).__name__ + one_kind(one): one.looks for one in (processes, files, *engines)}
    await look_everywhere(proof)
    for number, body in enumerate(collected):
        scan.look("traces", str(number % 10), body)
    return proof


def one_kind(watch: object) -> str:
    return f", {watch.engine.kind}" if isinstance(watch, EngineWatch) else ""
