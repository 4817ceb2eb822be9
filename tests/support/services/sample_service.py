"""A small project without packages, in a bare repository as the local forge keeps it."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from activities.adapters.forge.local import LocalBareForge
from activities.adapters.playbooks.hosts import ProgramHost, ThisMachine
from activities.adapters.playbooks.target import ReleaseTarget, Restore
from activities.adapters.release.directory import ProjectPlace
from activities.adapters.release.plan_reader import ForgePlanReader
from activities.adapters.runs.supervisor import Supervisor
from activities.adapters.runs.users import UnprivilegedUsers
from activities.ports import DeployTarget, Follow
from activities.rules.environment import render
from contracts.ids import directory_name
from contracts.progress import FineEvent
from contracts.steps import Allocation, AnalysisRequest, ProbeRequest, ReleaseRequest, ServicePort
from runtime.artifacts import DirectoryArtifactStore
from tests.support.services.forges import forge_of

SECRET = "s3cret-token-of-a-person"

APP = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

VERSION = {version!r}
data = Path(os.environ["DATA_DIR"])
(data / "started").open("a").write(os.environ["RELEASE_ID"] + "\\n")
sys.stderr.write("starting " + VERSION + "\\n")
{prologue}

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = {{"status": "ok", "release": os.environ["RELEASE_ID"], "version": VERSION,
                "commit": os.environ["APP_COMMIT"], "phase": os.environ["RELEASE_PHASE"]}}
        status = 200
        {answer}
        content = json.dumps(body, separators=(",", ":")).encode()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass

HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""

MANIFEST = """
version: "1"
name: sample
modules:
  - name: backend
    command: ["{python}", "backend.py"]
    health_path: /health
    health_body: '"status":"ok"'
    port: 8000
"""

CONTRACT = """
version: "1"
entries:
  - {name: PORT, source: allocation, consumers: [backend], required: true}
  - {name: API_TOKEN, source: user_secret, consumers: [backend], required: true}
  - {name: PUBLIC_URL, source: derived, consumers: [backend], required: false, value: "http://{host}:{port}"}
"""


_HELD = """import time
while os.environ["RELEASE_PHASE"] == {phase!r} and not ({directory} / {file!r}).exists():
    time.sleep(0.02)
"""


@dataclass
class Recorder:
    """A `Follow` that remembers."""

    events: list[FineEvent] = field(default_factory=list)
    reports: int = 0
    offset: int = 0

    async def report(self, events: list[FineEvent], offset: int) -> None:
        self.events += events
        self.offset = offset
        self.reports += 1

    @property
    def follow(self) -> Follow:
        return Follow(offset=0, report=self.report)

    @property
    def steps(self) -> list[str]:
        return [str(event.event.current_step) for event in self.events if event.event.type == "progress"]


@dataclass
class SampleProject:
    """A project on the forge of `home`, and the target that it is deployed to."""

    home: Path
    port: int
    project_id: str = field(default_factory=lambda: f"p-{uuid4().hex[:8]}")
    name: str = field(default_factory=lambda: f"blog-{uuid4().hex[:8]}")
    start_timeout_s: float = 60.0
    users: UnprivilegedUsers | None = None
    server_handle: str = "local"
    server_ip: str = "127.0.0.1"

    @property
    def slug(self) -> str:
        return directory_name(self.name)

    @property
    def repository(self) -> str:
        return f"u1/{self.name}"

    @property
    def forge(self) -> LocalBareForge:
        return forge_of(self.home)

    @property
    def git_dir(self) -> Path:
        return self.forge.mirror(self.repository).directory

    @property
    def target(self) -> DeployTarget:
        users = self.users or UnprivilegedUsers(self.home, machine=self.home / "machine")
        host = ThisMachine(self.home, self.forge, users, self.start_timeout_s)
        return self.target_on(host, host.restore)

    def target_on(self, host: ProgramHost, restore: Restore) -> DeployTarget:
        """Every server is this one."""

        async def host_of(handle: str) -> ProgramHost:
            return host

        return ReleaseTarget(self.home, self.artifacts, host_of, restore)

    @property
    def artifacts(self) -> DirectoryArtifactStore:
        return DirectoryArtifactStore(self.home / "artifacts")

    @property
    def place(self) -> ProjectPlace:
        return ProjectPlace(self.home / "services" / self.slug)

    @property
    def url(self) -> str:
        return f"http://{self.server_ip}:{self.port}"

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.home / "runs")

    def held(self, phase: str, until: str = "go") -> str:
        """The start of a service that waits as `candidate` or `live` until that file exists."""
        return _HELD.format(phase=phase, directory=self._data_of_tests, file=until)

    @property
    def _data_of_tests(self) -> str:
        return f"Path({str(self.home)!r})"

    async def let_go(self) -> None:
        (self.home / "go").touch()

    def build_files(self) -> dict[str, str]:
        """What the target needs in a repository besides the manifest."""
        return {}

    def commit(self, version: str, *, prologue: str = "", answer: str = "pass", **files: str) -> str:
        """A commit whose backend says `version`; `files` by name with `__` for the dot replace or add files."""
        content = (
            self.build_files()
            | {
                "backend.py": APP.format(version=version, prologue=prologue, answer=answer),
                "service.yaml": MANIFEST,
                "env.contract.yaml": CONTRACT,
                "requirements.txt": "# none\n",
            }
            | {name.replace("__", "."): text for name, text in files.items()}
        )
        with tempfile.TemporaryDirectory() as tree:
            for name, text in content.items():
                Path(tree, name).write_text(text)
            return self.commit_tree(Path(tree), version)

    def commit_tree(self, tree: Path, message: str = "sample") -> str:
        """The files of `tree` over what is on main, as one commit."""
        if not self.git_dir.exists():
            _git("init", "--quiet", "--bare", "--initial-branch=main", str(self.git_dir), cwd=self.home)
        with tempfile.TemporaryDirectory() as clone:
            _git("clone", "--quiet", str(self.git_dir), clone, cwd=self.home)
            shutil.copytree(tree, clone, dirs_exist_ok=True)
            _git("add", "-A", cwd=Path(clone))
            _git("commit", "--quiet", "--allow-empty", "-m", message, cwd=Path(clone))
            _git("push", "--quiet", "origin", "HEAD:main", cwd=Path(clone))
            return _git("rev-parse", "HEAD", cwd=Path(clone))

    async def request(
        self, commit: str, release_id: str = "", previous: str | None = None, task_id: str = "", timeout_s: int = 300
    ) -> ReleaseRequest:
        identity = uuid4().hex[:8]
        plan = await ForgePlanReader(self.forge).read(
            AnalysisRequest(project_id=self.project_id, repository=self.repository, commit=commit)
        )
        return ReleaseRequest(
            project_id=self.project_id,
            project_name=self.name,
            task_id=task_id or f"dep-{identity}",
            repository=self.repository,
            release_id=release_id or f"rel-{identity}",
            plan=plan,
            allocation=Allocation(
                server_handle=self.server_handle,
                server_ip=self.server_ip,
                ports=[ServicePort(service=service.name, port=self.port) for service in plan.services],
                previous_release_id=previous,
            ),
            timeout_s=timeout_s,
        )

    def environment(self, request: ReleaseRequest, secrets: dict[str, str] | None = None) -> dict[str, dict[str, str]]:
        return render(
            request.plan,
            request.allocation,
            secrets or {"API_TOKEN": SECRET},
            project_id=self.project_id,
            project_name=self.name,
            release_id=request.release_id,
        )

    def probe_request(self, request: ReleaseRequest) -> ProbeRequest:
        return ProbeRequest(
            project_id=self.project_id,
            project_name=self.name,
            release_id=request.release_id,
            plan=request.plan,
            allocation=request.allocation,
        )

    def service_runs(self) -> list[str]:
        """Names of the project's supervised services that run."""
        names = [path.name for path in (self.home / "runs").glob("svc-*")]
        return sorted(name for name in names if self.supervisor.status(name).state == "running")

    async def live(self) -> dict[str, str]:
        """What serves the project, by name, each with something that changes when it is started anew."""
        return {name: str(self.supervisor.status(name).pid) for name in self.service_runs() if "-cand-" not in name}

    async def candidates(self) -> list[str]:
        return [name for name in self.service_runs() if "-cand-" in name]

    async def releases(self) -> set[str]:
        """Ids of the releases that are kept."""
        return {path.name for path in (self.place.root / "releases").glob("*")}

    async def starts(self) -> list[str]:
        """The releases that have started with the live data, in order."""
        return (self.place.data / "started").read_text().split()

    async def built(self, release_id: str) -> str:
        """Something that changes when the release is built again."""
        return str((self.place.release(release_id) / "app" / "backend.py").stat().st_ino)

    async def left(self) -> list[str]:
        """What is there of the project besides kept data."""
        return [str(path) for path in self.place.root.glob("*")] + self.service_runs()

    async def kept_data(self) -> list[str]:
        """The files that a removal has kept."""
        return [path.name for path in (self.home / "services" / ".removed").rglob("*") if path.is_file()]

    async def seen_by_others(self) -> str:
        """What everybody on the machine can see of it: command lines."""
        return "\n".join(self.processes())

    async def clean_up(self) -> None:
        await self.stop_everything()
        assert self.processes() == []

    def processes(self) -> list[str]:
        """Command lines of every living process that belongs to this state directory."""
        found = []
        for directory in Path("/proc").iterdir():
            if directory.name.isdigit() and int(directory.name) != os.getpid():
                try:
                    line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    place = os.readlink(directory / "cwd")
                except OSError:
                    continue
                if str(self.home) in line or place.startswith(str(self.home)):
                    found.append(line)
        return sorted(found)

    async def stop_everything(self) -> None:
        for run in (self.home / "runs").glob("*"):
            await self.supervisor.stop(run.name, grace_s=1.0)


@contextmanager
def foreign_listener(port: int) -> Iterator[None]:
    """An unrelated program on `port`."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(1)
        yield


def _git(*arguments: str, cwd: Path) -> str:
    program = shutil.which("git") or "git"
    who = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org", "GIT_CONFIG_GLOBAL": os.devnull}
    who |= {"GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org", "PATH": os.environ["PATH"]}
    done = subprocess.run([program, *arguments], cwd=cwd, env=who, capture_output=True, text=True, check=True)
    return done.stdout.strip()
