"""Commits to be accepted or refused, and the two places in which that is found out."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from activities.adapters.acceptance.containers import DockerAcceptance
from activities.adapters.acceptance.flow import AcceptanceFlow
from activities.adapters.acceptance.jobs import Means
from activities.adapters.acceptance.processes import ProcessAcceptance
from activities.adapters.containers.package_volumes import PackageVolumes
from activities.adapters.process.package_caches import PackageCaches
from activities.adapters.release.plan_reader import ForgePlanReader
from activities.adapters.runs.supervisor import Supervisor
from activities.adapters.runs.users import UnprivilegedUsers
from contracts.acceptance import AcceptanceCheck, AcceptanceRequest, AcceptanceResult
from contracts.criteria import Criterion
from tests.support.services.runtimes import REPOSITORY, Bench, DockerRuntime, ProcessRuntime

MANIFEST = """
version: "1"
name: notes
modules:
  - name: backend
    command: ["{python}", "app.py"]
    migrate: ["{python}", "migrate.py"]
    health_path: /health
    health_body: '"status":"ok"'
"""
CONTRACT = """
version: "1"
entries:
  - {name: PORT, source: allocation, consumers: [backend]}
  - {name: ADMIN_TOKEN, source: generated_secret, consumers: [backend]}
"""
MIGRATION = "import os, pathlib; pathlib.Path(os.environ['DATA_DIR'], 'notes').touch()"
APP = """
import http.server, json, os, pathlib
notes = pathlib.Path(os.environ["DATA_DIR"], "notes")
print("the token is", os.environ["ADMIN_TOKEN"], flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            return self.answer(200, {"status": "ok"})
        if self.path == "/admin":
            allowed = self.headers.get("Authorization") == "Bearer " + os.environ["ADMIN_TOKEN"]
            return self.answer(200 if allowed else 401, {"token": os.environ["ADMIN_TOKEN"]} if allowed else {})
        if self.path == "/notes":
            return self.answer(200, [{"text": line} for line in notes.read_text().splitlines()])
        self.answer(404, {})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with notes.open("a") as file:
            file.write(body["text"] + "\\n")
        self.answer(201, {"text": body["text"]})
    def answer(self, status, document):
        content = json.dumps(document, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
NOTES = {"service.yaml": MANIFEST, "env.contract.yaml": CONTRACT, "migrate.py": MIGRATION, "app.py": APP}
"""A small service without packages: notes that are kept."""
WRITE = {"kind": "http", "method": "POST", "path": "/notes", "json": {"text": "n {unique}"}, "expect": {"status": 201}}
READ = {
    "kind": "http",
    "path": "/notes",
    "expect": {"status": 200, "json": [{"path": "[*].text", "contains": "n {unique}"}]},
}
KEPT = [WRITE, READ, {"kind": "restart"}, READ]


def acceptance(bench: Bench, *means: Means) -> AcceptanceFlow:
    """A new one for every call: nothing may depend on memory. `means`: of the place with processes."""
    runtime, plans = bench.runtime, ForgePlanReader(bench.forge)
    if isinstance(runtime, DockerRuntime):
        runs, images = runtime.runs(), runtime.images()
        packages = PackageVolumes(runs, bench.root / "verifications" / ".locks")
        return DockerAcceptance(
            runs, images, packages, bench.forge, plans, bench.root / "acceptance", runtime.artifacts
        )
    assert isinstance(runtime, ProcessRuntime)
    supervisor = Supervisor(bench.root / "runs")
    users = UnprivilegedUsers(bench.root, machine=bench.root / "machine")
    packages_here = PackageCaches(supervisor, bench.root / "caches")
    return ProcessAcceptance(
        supervisor, packages_here, bench.forge, plans, bench.root / "acceptance", users, runtime.artifacts, *means
    )


def check(criterion: str, *steps: dict[str, Any], name: str = "") -> AcceptanceCheck:
    """One check of a criterion, with the same id."""
    known = {"id": name or f"check-{criterion}", "criterion_id": criterion, "title": f"Shows {criterion}"}
    return AcceptanceCheck.model_validate({**known, "steps": list(steps)})


def asked(commit: str, checks: list[AcceptanceCheck], **fields: Any) -> AcceptanceRequest:
    """A request for the criteria of these checks."""
    ids = dict.fromkeys(one.criterion_id for one in checks)
    known = {
        "task_id": f"eng-{uuid4().hex[:8]}",
        "project_id": "p1",
        "repository": REPOSITORY,
        "commit": commit,
        "criteria": [Criterion(id=one, sentence=f"The wish says {one}") for one in ids],
        "checks": checks,
        "timeout_s": 120,
    }
    return AcceptanceRequest.model_validate({**known, **fields})


async def accept(bench: Bench, request: AcceptanceRequest, *means: Means) -> AcceptanceResult:
    return await acceptance(bench, *means).accept(request, bench.follow())


def states(result: AcceptanceResult) -> dict[str, str]:
    """What became of each criterion, by id."""
    return {one.id: one.state.value for one in result.criteria}


async def report(bench: Bench, result: AcceptanceResult) -> Any:
    assert result.report is not None
    return json.loads(await bench.artifacts.read(result.report))
