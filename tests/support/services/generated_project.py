"""Projects made from the bundled template, their checks, their processes, and a Bot API server for their bot."""

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import copier
import httpx

from tests.support.ports import any_free

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "templates" / "service"
AGENT = ROOT / "activities" / "adapters" / "agents" / "scripted"
START_S = 60.0


def generate(target: Path, modules: Sequence[str] | str, template: Path = TEMPLATE, **answers: str) -> Path:
    data = {"project_name": "demo-service", "modules": modules, **answers}
    copier.run_copy(str(template), target, data=data, defaults=True, overwrite=True, quiet=True)
    return target


def git(project: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def repository(target: Path, modules: Sequence[str] | str) -> Path:
    """A generated project with its first commit, on a work branch."""
    generate(target, modules)
    git(target, "init", "--quiet", "--initial-branch", "main")
    git(target, "add", "--all")
    git(target, "-c", "user.name=Test", "-c", "user.email=test@localhost", "commit", "--quiet", "-m", "Scaffold")
    git(target, "checkout", "--quiet", "-b", "work")
    return target


def requirements_hash(project: Path) -> str:
    texts = [(project / name).read_bytes() for name in ("requirements.txt", "requirements-dev.txt")]
    return sha256(b"".join(texts)).hexdigest()[:16]


@dataclass(frozen=True)
class Environments:
    """Shared virtual environments, one per list of requirements."""

    folder: Path

    def of(self, project: Path) -> Path:
        return self.folder / requirements_hash(project)

    def python(self, project: Path) -> str:
        return str(self.of(project) / "bin" / "python")

    def make(self, project: Path, *targets: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["make", "--no-print-directory", *targets, f"VENV={self.of(project)}", f"PYTHON={sys.executable}"],
            cwd=project, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip


@dataclass
class Service:
    """A running module of a generated project."""

    process: "subprocess.Popen[str]"
    url: str
    client: httpx.Client

    def wait_until_it_answers(self) -> httpx.Response:
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                return self.client.get("/health")
            except httpx.TransportError:
                threading.Event().wait(0.05)
        raise AssertionError(f"no answer, exit code {self.process.poll()}")


@contextmanager
def running(
    python: str, project: Path, module: str, data_dir: Path, env: Mapping[str, str] | None = None
) -> Iterator[Service]:
    port = any_free()
    given = {"PORT": str(port), "DATA_DIR": str(data_dir), "PATH": os.environ["PATH"], **(env or {})}
    command = [python, "-m", f"services.{module}"]
    with (
        (data_dir.parent / f"{module}-{uuid.uuid4().hex[:8]}.log").open("w") as log,
        subprocess.Popen(command, cwd=project, env=given, stdout=log, stderr=log, text=True) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client,
    ):
        try:
            yield Service(process, f"http://127.0.0.1:{port}", client)
        finally:
            process.terminate()
            process.wait(timeout=10)


@dataclass
class BotApi:
    """Enough of the Bot API to poll and to be answered: updates are queued, sent texts are kept."""

    url: str
    updates: list[dict[str, Any]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    answered: threading.Event = field(default_factory=threading.Event)

    def say(self, text: str) -> None:
        person = {"id": 42, "is_bot": False, "first_name": "Person"}
        message = {"message_id": 1, "date": 1, "chat": {"id": 42, "type": "private"}, "from": person, "text": text}
        self.updates.append({"update_id": len(self.updates) + 1, "message": message})

    def result(self, method: str, values: Mapping[str, Any]) -> Any:
        if method == "getMe":
            return {"id": 1, "is_bot": True, "first_name": "Bot", "username": "demo_bot"}
        if method == "getUpdates":
            offset = int(values.get("offset", 0))
            waiting = [update for update in self.updates if update["update_id"] >= offset]
            if not waiting:
                threading.Event().wait(0.1)
            return waiting
        if method == "sendMessage":
            self.texts.append(values["text"])
            self.answered.set()
            return {"message_id": 2, "date": 1, "chat": {"id": 42, "type": "private"}, "text": values["text"]}
        return True


@contextmanager
def bot_api(bind: str = "127.0.0.1", *, seen_as: str = "127.0.0.1") -> Iterator[BotApi]:
    """`seen_as` is this machine for those who use it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            result = api.result(self.path.rsplit("/", 1)[1], _form(body, self.headers["Content-Type"]))
            answer = json.dumps({"ok": True, "result": result}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: the test's output is for the test."""

    server = ThreadingHTTPServer((bind, 0), Handler)
    api = BotApi(f"http://{seen_as}:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _form(body: bytes, content_type: str) -> dict[str, str]:
    """A form in either encoding; the standard library reads a multipart one as a mail message."""
    if content_type.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode()))
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=default)
    return {
        str(part.get_param("name", header="Content-Disposition")): str(part.get_content())
        for part in message.walk()
        if not part.is_multipart()
    }
