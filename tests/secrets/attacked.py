"""Two projects of two owners on one platform: a victim, and an attacker who is inside of what is their own."""

import asyncio
import json
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from activities.adapters.containers import command as docker
from contracts.ids import directory_name
from tests.secrets.attack_table import Told
from tests.support.eventually import eventually
from tests.support.outside import Outside
from tests.support.people.story import ENTITY, Person, new_person
from tests.support.services import engine
from tests.support.stack import ROOT, Stack

SECRET = "PAYMENT_KEY"
LINKS = "plant links that the platform follows"
WISH = f"{ENTITY} [agent:needs-secret={SECRET}]"
SLOW = "Add a field page:int to books [agent:slow=90]"
Answers = dict[str, str]


@dataclass
class Owner:
    """A person with a project that is online, and with a turn that takes its time."""

    person: Person
    name: str
    secret: str
    project: str = ""
    url: str = ""
    turn: str = ""
    task: str = ""

    async def ok(self, *arguments: str, stdin: str = "") -> Any:
        said = await self.person.cli(*arguments, stdin=stdin)
        assert said.code == 0, f"{arguments}: {said.code}\n{said.out}\n{said.err}"
        return said.json

    async def goes_online(self) -> None:
        self.project = (await self.ok("project", "create", self.name))["id"]
        await self.ok("secret", "set", self.project, SECRET, stdin=self.secret)
        self.task = (await self.ok("delivery", "start", "--project", self.project, WISH))["task_id"]
        ended = await self.person.stack.finished(self.task)
        assert ended["state"] == "completed", ended
        self.url = ended["result"]["deployed_url"]

    async def begins_a_turn(self) -> None:
        # Whatever is open to turns at all is open to these.
        await self.ok("settings", "set", "egress_hosts", '["*"]', "--project", self.project)
        self.turn = (await self.ok("delivery", "start", "--project", self.project, SLOW))["task_id"]

    @property
    def slug(self) -> str:
        return directory_name(self.name)


@dataclass
class Attack:
    """One platform with a victim and an attacker, what was found, and what must not change by it."""

    stack: Stack
    victim: Owner
    attacker: Owner
    bait: Path
    key: str = ""
    open_port: int = 0
    private: list[tuple[str, int]] = field(default_factory=list)
    """Where the victim's services listen behind the front door."""
    workers: list[str] = field(default_factory=list)
    """Addresses of what belongs to the victim's agent worker."""
    spy: str = ""
    """The attacker's own agent worker, if there is one."""
    models_port: int = 8183
    """Of the model proxy, as who is inside sees it."""
    answers: dict[str, Answers] = field(default_factory=dict)

    def told(self, host: str, own: str = "") -> Told:
        """What an attacker may have guessed, and more: the exact paths. `own` is in those that are not the victim's."""
        home, victim, base = self.stack.home, self.victim, self.stack.port_base
        source = [f"forge/u{victim.person.user_id}/{victim.name}.git", "agents/workspaces/*", "agents/homes/*",
                  "verifications/*", "containers/workspaces/*", f"services/{victim.slug}/releases/*/app"]  # fmt: skip
        data = [f"services/{victim.slug}{inside}" for inside in ("", "/data", "/data/*", "/releases/*/env/*")]
        found = [str(one) for pattern in source for one in home.glob(pattern) if not own or own not in str(one)]
        return {
            "home": str(home),
            "host": host,
            "key": self.key,
            "mark": victim.secret,
            "secret": SECRET,
            "links": [str(self.bait), str(self.bait / "file"), f"{home}/keys/admin.key", f"{home}/keys", "/etc/passwd"],
            "programs": [str(ROOT), sysconfig.get_path("purelib"), str(Path(sys.executable).parent)],
            "ports": {
                "api": base,
                "ui": base + 1,
                "temporal": base + 2,
                "postgres": 5432,
                "open": self.open_port,
                "models": self.models_port,
            },
            "victim": {
                "id": victim.project,
                "slug": victim.slug,
                "task": victim.task,
                "owner": str(victim.person.user_id),
                "port": urlsplit(victim.url).port,
                "private": self.private,
                "workers": self.workers,
                "source": found or [str(home / one) for one in source],
                "data": [*(str(one) for pattern in data for one in home.glob(pattern)), f"/srv/{victim.slug}/data"],
                "locks": [
                    f"{home}/services/{victim.slug}/.lock",
                    f"{home}/forge/.locks/*",
                    f"/srv/{victim.slug}/.lock",
                ],
            },
        }

    def untouched(self) -> list[tuple[int, int, int, bytes]]:
        """Of everything that links were planted to: its owner, its mode, and what is in it."""
        home = self.stack.home
        files = [self.bait, *self.bait.iterdir(), home / "keys", home / "keys" / "admin.key", Path("/etc/passwd")]
        return [_facts(file) for file in files]

    async def followed(self, before: object) -> str:
        """The answer for links that were planted, after everything that could follow them has been done."""
        owner = self.attacker
        repository = Outside(self.stack, owner.name, owner.person.user_id).repository
        every = ["cat-file", "--batch-all-objects", "--batch"]
        content = await asyncio.to_thread(
            subprocess.check_output, ["git", "-c", "safe.directory=*", f"--git-dir={repository}", *every]
        )
        kept = self.untouched() == before and self.stack.admin_key().encode() not in content
        return "no: not followed" if kept else f"got: {self.untouched()}"


def _facts(file: Path) -> tuple[int, int, int, bytes]:
    facts = file.stat()
    return facts.st_uid, facts.st_gid, facts.st_mode, b"" if file.is_dir() else file.read_bytes()


@asynccontextmanager
async def two_projects(stack: Stack, runtime: str) -> AsyncIterator[Attack]:
    """Both online: of the one person whom processes are for, or of two who know nothing of each other."""
    people = [Person(stack, 1, stack.admin_key())] * 2
    if runtime == "docker":
        people = [await new_person(stack), await new_person(stack)]
    names = [f"{role}{uuid4().hex[:6]}" for role in ("victim", "attacker")]
    victim, attacker = (Owner(*who, f"of-{who[1]}-{uuid4().hex}") for who in zip(people, names, strict=True))
    await asyncio.gather(victim.goes_online(), attacker.goes_online())
    bait = stack.home.parent / "bait"
    bait.mkdir()
    (bait / "file").write_text("bait")
    async with await asyncio.start_server(lambda _, writer: writer.close(), "0.0.0.0", 0) as listening:
        attack = Attack(stack, victim, attacker, bait, open_port=listening.sockets[0].getsockname()[1])
        attack.private = await _behind_the_door(attack)
        attack.key = await _token(attack) if runtime == "process" else attacker.person.key
        try:
            yield attack
        finally:
            await _ended(attack)


async def _ended(attack: Attack) -> None:
    """No agent of theirs works any more, and nothing is left of the attacker's own."""
    stack, attacker = attack.stack, attack.attacker
    running = [owner.turn for owner in (attack.victim, attacker) if owner.turn]
    await asyncio.gather(*(stack.cli("task", "cancel", turn) for turn in running))
    if not attack.spy:
        return
    await attacker.person.cli("worker", "delete", attack.spy)

    async def gone() -> bool:
        return bool((await attacker.ok("worker", "show", attack.spy))["state"] == "deleted")

    _: bool = await eventually(gone, 60, message="the end of the attacker's agent")


async def _behind_the_door(attack: Attack) -> list[tuple[str, int]]:
    stack = attack.stack
    text = await engine.on_server(stack.server, "cat", "/srv/.front-door/routes.json") if stack.server else ""
    routes = json.loads(text or (stack.home / "front-door" / "routes.json").read_text())
    found = [(str(host), int(port)) for _, _, _, port, host in routes[attack.victim.slug]]
    assert found, "the victim has no private port"
    return found


async def _token(attack: Attack) -> str:
    """What an agent of the attacker's project is given. Another project of the same person is none of its business."""
    commands = ["project.list", "project.show", "secret.list", "task.list", "task.show", "deploy.status"]
    async with attack.stack.http() as http:
        reply = await http.post("/tokens", json={"project_id": attack.attacker.project, "commands": commands})
    return str(reply.json()["token"])


async def turn_of(owner: Owner) -> str:
    """The container of a turn of this project, once it runs."""
    label = f"label=codegen-orchestrator.project={owner.project}"
    argv = ("docker", "ps", "--filter", label, "--filter", "name=turn-", "--format", "{{.Names}}")

    async def running() -> str:
        said = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
        return (await said.communicate())[0].decode().strip()

    return await eventually(running, 60, message="a turn")


async def addresses_of_workers(owner: Owner) -> list[str]:
    """Of the containers of this project's turns and of their gateways; those without a network have none."""
    label = f"label=codegen-orchestrator.project={owner.project}"
    names = (await docker.run("ps", "--filter", label, "--format", "{{.Names}}")).split()
    shown = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    return (await docker.run("inspect", "--format", shown, *names)).split() if names else []
