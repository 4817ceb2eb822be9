"""An agent and a forge as somebody would add them: what stands in each file of "Where do I add …"."""

AGENT = '''
import subprocess, sys
from dataclasses import dataclass
from pathlib import Path

from activities.adapters.agents.base import AgentCall, AgentReport, Place, Told
from contracts.states import AgentKind

_CODE = """
import subprocess
print("dummy: at work", flush=True)
open("dummy.txt", "w").write("here")
subprocess.run(["git", "add", "dummy.txt"], check=True)
subprocess.run(["git", "commit", "--quiet", "--message", "Dummy"], check=True)
print("end: the dummy was here", flush=True)
"""


class DummyReader:
    def __init__(self) -> None:
        self.report = AgentReport()

    def feed(self, line: bytes) -> list[str]:
        text = line.decode().strip()
        if text.startswith("end: "):
            self.report.finished, self.report.text = True, text.removeprefix("end: ")
            return []
        return [text]


@dataclass(frozen=True)
class DummyAgent:
    python: Path = Path(sys.executable)
    kind: AgentKind = AgentKind.DUMMY
    takes_controls: bool = False
    needs_model: bool = False

    @property
    def programs(self) -> list[Path]:
        return [self.python]

    def call(self, told: Told, place: Place) -> AgentCall:
        return AgentCall([str(self.python), "-c", _CODE], {})

    def reader(self) -> DummyReader:
        return DummyReader()
'''

FORGE = '''
import hashlib
from pathlib import Path

from activities.adapters.forge.git import Git, Identity, temporary_directory
from activities.adapters.forge.mirror import MAIN, BareMirror
from contracts.departments import ScaffolderMessage
from contracts.steps import PublishRequest, PublishResult, ScaffoldResult


class DummyMirror(BareMirror):
    """A copy that fetches from a repository elsewhere and pushes to it, as that of a hosting service will."""

    def __init__(self, repository: str, directory: Path, remote: Path) -> None:
        super().__init__(repository, directory)
        self._remote = str(remote)

    async def _refresh(self) -> None:
        if not self.directory.is_dir():
            self.directory.mkdir(parents=True)
            await self._git.run("init", "--quiet", "--bare", "--template=", ".")
        await self._git.run("fetch", "--quiet", "--prune", self._remote, "+refs/heads/*:refs/heads/*")

    async def _send(self, commit: str, branch: str, there: str | None) -> None:
        lease = f"--force-with-lease=refs/heads/{branch}:{there or ''}"
        await self._git.run("push", "--quiet", lease, self._remote, f"{commit}:refs/heads/{branch}")

    async def _head_at_forge(self, branch: str) -> str:
        listed = await self._git.text("ls-remote", "--quiet", self._remote, f"refs/heads/{branch}")
        return listed.split()[0] if listed else ""


class DummyForge:
    def __init__(self, root: Path, scaffolder) -> None:
        self.root, self.scaffolder = root, scaffolder

    def mirror(self, repository: str) -> DummyMirror:
        return DummyMirror(repository, self.root / "copies" / _key(repository), self._remote(repository))

    def _remote(self, repository: str) -> Path:
        return self.root / "elsewhere" / _key(repository)

    async def scaffold(self, message: ScaffolderMessage) -> ScaffoldResult:
        remote = self._remote(message.repo_full_name)
        remote.mkdir(parents=True)
        await Git(remote).run("init", "--quiet", "--bare", "--template=", ".")
        async with temporary_directory(self.root / "drafts") as directory:
            work = directory / "project"
            await self.scaffolder.generate(message, work)
            clone = Git(work, Identity(date=message.timestamp))
            await clone.run("init", "--quiet", f"--initial-branch={MAIN}", "--template=")
            await clone.run("add", "--all", "--", ".")
            await clone.run("commit", "--quiet", "--message", "Scaffold")
            await clone.run("push", "--quiet", str(remote), f"HEAD:refs/heads/{MAIN}")
            commit = await clone.text("rev-parse", "HEAD")
        return ScaffoldResult(repo_full_name=message.repo_full_name, commit=commit, template_version="1")

    async def publish(self, request: PublishRequest) -> PublishResult:
        assert request.may_reach_main
        remote = Git(self._remote(request.repository))
        await remote.run("update-ref", f"refs/heads/{MAIN}", request.commit, request.base_commit)
        files = await remote.changed_files(request.base_commit, request.commit)
        return PublishResult(status="published", commit=request.commit, files_changed=files)


def _key(repository: str) -> str:
    return hashlib.sha256(repository.encode()).hexdigest()[:16]
'''

NEW = {"activities/adapters/agents/dummy.py": AGENT, "activities/adapters/forge/dummy.py": FORGE}
"""Files that were not there before."""

_AGENT_BASE = "from activities.adapters.agents.base import AgentCli\n"
_LOCAL_FORGE = "from activities.adapters.forge.local import LocalBareForge\n"
LINES = {
    "contracts/states.py": {'    SCRIPTED = "scripted"\n': '    DUMMY = "dummy"\n'},
    "workers/agents.py": {
        _AGENT_BASE: "from activities.adapters.agents.dummy import DummyAgent\n",
        "AGENTS = [\n": (
            "    AgentRow(AgentKind.DUMMY, lambda: DummyAgent(_PYTHON_IN_IMAGE), lambda settings: DummyAgent()),\n"
        ),
    },
    "workers/forges.py": {
        _LOCAL_FORGE: "from activities.adapters.forge.dummy import DummyForge\n",
        "FORGES: dict[str, Callable[[Settings], Forge]] = {\n": (
            '    "dummy": lambda settings: DummyForge(settings.home / "dummy", CopierScaffolder()),\n'
        ),
    },
}
"""Lines that come after a line of a file that was there."""
