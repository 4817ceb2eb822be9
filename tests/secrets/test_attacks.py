"""An attacker inside of an agent's turn and of a deployed service reaches nothing of the platform and of others.

With processes as the one person that they are for; with containers as one of two people. What is tried and what comes
of it is the table of docs/security.md, by which this judges.
"""

import asyncio
import contextlib
import ctypes
import json
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import pytest
import structlog

from contracts.ids import directory_name
from tests.secrets import attack_table
from tests.secrets.attack_table import SCRIPTS, Told
from tests.support.eventually import eventually
from tests.support.outside import Outside
from tests.support.patience import patience, within
from tests.support.people.story import ENTITY, Person, new_person
from tests.support.ports import free_ports
from tests.support.services import engine
from tests.support.services.container_service import no_engine
from tests.support.stack import ROOT, Stack, running_stack

log = structlog.get_logger(__name__)
pytestmark = [pytest.mark.timeout(1800), pytest.mark.deep]

SECRET = "PAYMENT_KEY"
LINKS = "plant links that the platform follows"
WISH = f"{ENTITY} [agent:needs-secret={SECRET}]"
SLOW = "Add a field page:int to books [agent:slow=90]"
_NO_NEW_PRIVILEGES = 38
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
            "ports": {"api": base, "ui": base + 1, "temporal": base + 2, "postgres": 5432, "open": self.open_port},
            "victim": {
                "id": victim.project,
                "slug": victim.slug,
                "task": victim.task,
                "owner": str(victim.person.user_id),
                "port": urlsplit(victim.url).port,
                "private": self.private,
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


def _facts(file: Path) -> tuple[int, int, int, bytes]:
    facts = file.stat()
    return facts.st_uid, facts.st_gid, facts.st_mode, b"" if file.is_dir() else file.read_bytes()


@asynccontextmanager
async def with_users_of_their_own() -> AsyncIterator[Stack]:
    """A platform of processes whose Python and home other users can reach: otherwise work runs as root, and `up` says
    so. Packages and programs are ours."""
    with tempfile.TemporaryDirectory(prefix="attacked-", dir="/var/tmp") as directory:
        place = Path(directory)
        place.chmod(0o755)
        make = ["/usr/bin/python3", "-m", "venv", "--without-pip", str(place / "venv")]
        await asyncio.to_thread(subprocess.run, make, check=True)
        [packages] = (place / "venv" / "lib").glob("python3*/site-packages")
        (packages / "platform.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
        for program in ("caddy", "temporal", "uv"):
            (place / "venv" / "bin" / program).symlink_to(Path(sys.executable).parent / program)
        python = str(place / "venv" / "bin" / "python")
        stack = Stack(place / "home", free_ports(3), free_ports(100), extra={"ORCHESTRATOR_RUNTIME": "process"})
        try:
            await _run(python, stack, "up", "--detach")
            yield stack
        finally:
            await _run(python, stack, "down", "--services")


async def _run(python: str, stack: Stack, *arguments: str) -> None:
    program = await asyncio.create_subprocess_exec(python, "-m", "cli", *arguments, env=stack.env, cwd=ROOT)
    assert await within(program.wait(), 150) == 0, arguments


@asynccontextmanager
async def with_containers(directory: Path) -> AsyncIterator[Stack]:
    with engine.in_use():
        async with running_stack(directory / "home", ORCHESTRATOR_RUNTIME="docker") as stack:
            yield stack


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
        yield attack
    await asyncio.gather(*(stack.cli("task", "cancel", owner.turn) for owner in (victim, attacker)))


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


def _without_new_privileges() -> None:
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def as_process(process: psutil.Process, told: Told) -> Answers:
    """The scripts with everything that this process has: user, directory, environment, and no way to more."""
    found: Answers = {}
    for script in SCRIPTS:
        done = subprocess.run(
            ["/usr/bin/python3", "-", json.dumps(told)], input=script.read_text(), cwd=process.cwd(),
            env=process.environ(), user=process.uids().real, group=process.gids().real, extra_groups=[],
            preexec_fn=_without_new_privileges, capture_output=True, text=True, timeout=patience(240), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found |= json.loads(done.stdout)
    return found


def in_container(command: Sequence[str], told: Told) -> Answers:
    found: Answers = {}
    for script in SCRIPTS:
        done = subprocess.run(
            [*command, json.dumps(told)], input=script.read_text(), capture_output=True, text=True,
            timeout=patience(240), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found |= json.loads(done.stdout)
    return found


def as_root(told: Told) -> Answers:
    """What there is to be read, by somebody who may."""
    return _here("attack_machine.py", told | {"only": ["read "]})


def with_the_key(told: Told) -> Answers:
    """What the API says to a key that was carried to where its port is reached."""
    return _here("attack_network.py", told | {"only": ["ask ", "have ", "fetch ", "decode "]})


def _here(name: str, told: Told) -> Answers:
    [script] = (one.read_text() for one in SCRIPTS if one.name == name)
    argv = ["/usr/bin/python3", "-", json.dumps(told)]
    done = subprocess.run(argv, input=script, capture_output=True, text=True, timeout=patience(120), check=True)
    return dict(json.loads(done.stdout))


def process_of(stack: Stack, words: str, directory: str, other_than: str = "\n") -> psutil.Process | None:
    """One that runs this, in such a directory; processes end while they are looked at."""
    for one in stack.processes():
        with contextlib.suppress(psutil.Error):
            if words in " ".join(one.cmdline()) and directory in one.cwd() and other_than not in one.cwd():
                return one
    return None


async def attack_processes(attack: Attack) -> None:
    stack = attack.stack
    await attack.attacker.begins_a_turn()
    turn = await eventually(lambda: process_of(stack, "scripted", "workspaces"), 60, message="a turn")
    assert turn is not None
    worker = Path(turn.cwd()).name
    await attack.victim.begins_a_turn()
    await eventually(lambda: process_of(stack, "scripted", "workspaces", worker), 60, message="the victim's turn")
    service = process_of(stack, "services.backend", attack.attacker.slug)
    assert service is not None
    assert 0 not in {turn.uids().real, service.uids().real}
    told = attack.told("127.0.0.1", worker)
    control = await asyncio.to_thread(as_root, told)
    assert all(answer.startswith("got") for answer in control.values()), control
    attack.answers = {
        "turn": await asyncio.to_thread(as_process, turn, told),
        "service": await asyncio.to_thread(as_process, service, told),
    }


async def attack_containers(attack: Attack) -> None:
    stack, attacker = attack.stack, attack.attacker
    await asyncio.gather(attacker.begins_a_turn(), attack.victim.begins_a_turn())
    turn, _ = await _turn_of(attacker), await _turn_of(attack.victim)
    [service] = {line.partition("]")[0][1:] for line in await engine.there(stack.server, f"svc-{attacker.slug}")}
    secrets = await engine.on_server(stack.server, "grep", "-rl", attack.victim.secret, f"/srv/{attack.victim.slug}")
    assert secrets, "the victim has nothing to be read"
    carried = await asyncio.to_thread(with_the_key, attack.told("127.0.0.1"))
    assert not [answer for answer in carried.values() if answer.startswith("got")], carried
    # As whoever is in the service: with its environment, too.
    load = 'set -a; . /run/orchestrator/environment; exec python3 - "$1"'
    into = ["docker", "exec", "--interactive", stack.server, "docker", "exec", "--interactive", service]
    host = await engine.seen_from(stack.server)
    attack.answers = {
        "turn": await asyncio.to_thread(
            in_container, ["docker", "exec", "--interactive", turn, "python3", "-"], attack.told("172.17.0.1")
        ),
        "service": await asyncio.to_thread(in_container, [*into, "sh", "-c", load, "sh"], attack.told(host)),
    }


async def _turn_of(owner: Owner) -> str:
    """The container of a turn of this project, once it runs."""
    label = f"label=codegen-orchestrator.project={owner.project}"
    argv = ("docker", "ps", "--filter", label, "--filter", "name=turn-", "--format", "{{.Names}}")

    async def running() -> str:
        said = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
        return (await said.communicate())[0].decode().strip()

    return await eventually(running, 60, message="a turn")


async def follow_what_was_planted(attack: Attack, before: object) -> None:
    """The attacker's turn ends, its work is tested and put online, and the project is started again."""
    stack, attacker = attack.stack, attack.attacker
    assert all(answers[LINKS].startswith("planted: ") for answers in attack.answers.values()), attack.answers
    assert not all(answers[LINKS] == "planted: 0" for answers in attack.answers.values())
    ended = await stack.finished(attacker.turn)
    restarted = (await attacker.ok("deploy", "restart", attacker.project))["task_id"]
    assert (await stack.finished(restarted))["state"] == "completed", ended
    repository = Outside(stack, attacker.name, attacker.person.user_id).repository
    content = await asyncio.to_thread(
        subprocess.check_output,
        ["git", "-c", "safe.directory=*", f"--git-dir={repository}", "cat-file", "--batch-all-objects", "--batch"],
    )
    kept = attack.untouched() == before and stack.admin_key().encode() not in content
    for answers in attack.answers.values():
        answers[LINKS] = "no: not followed" if kept else f"got: {attack.untouched()}"


async def _of_server(stack: Stack) -> str:
    return (
        await engine.on_server(stack.server, "stat", "-c", "%n %u %a", "/etc", "/etc/passwd", "/srv")
        if stack.server
        else ""
    )


@pytest.mark.parametrize("runtime", ["process", "docker"])
async def test_who_is_inside_reaches_nothing_of_the_platform_and_of_others(runtime: str, tmp_path: Path) -> None:
    if runtime == "docker" and (obstacle := no_engine()) is not None:
        pytest.skip(obstacle)
    async with AsyncExitStack() as opened:
        platform = with_users_of_their_own() if runtime == "process" else with_containers(tmp_path)
        stack = await opened.enter_async_context(platform)
        attack = await opened.enter_async_context(two_projects(stack, runtime))
        before, on_server = attack.untouched(), await _of_server(stack)
        await (attack_processes if runtime == "process" else attack_containers)(attack)
        log.info("answers", runtime=runtime, **attack.answers)
        await follow_what_was_planted(attack, before)
        assert await _of_server(stack) == on_server
    found = {place: attack_table.faults(runtime, place, answers) for place, answers in attack.answers.items()}
    assert found == {"service": [], "turn": []}, attack.answers
