"""A real agent in its container: nothing secret is in what surrounds it, and what it runs reaches nothing.

Claude Code follows a scripted model, which has it run the attack of `test_attacks.py` with its own shell, while another
person's agent works beside it. The last column of the table in docs/security.md is judged here.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import structlog

from activities.adapters.containers import command as docker
from activities.adapters.containers.workspaces import HOME, WORKSPACE
from contracts.ids import turn_name
from emulators.model.model import Model
from emulators.model.server import serving
from tests.secrets import attack_table
from tests.secrets.attack_table import SCRIPTS
from tests.secrets.attacked import LINKS, Answers, Attack, addresses_of_workers, turn_of, two_projects
from tests.secrets.canaries import Canary, known_canary
from tests.secrets.containers import Engine
from tests.secrets.run import platform_canaries
from tests.secrets.scan import Allowed, Scan
from tests.support.eventually import eventually
from tests.support.ports import any_free
from tests.support.services import engine
from tests.support.services.container_service import no_engine
from tests.support.stack import Stack, running_stack

log = structlog.get_logger(__name__)
pytestmark = [pytest.mark.timeout(1800), pytest.mark.deep, pytest.mark.containers]

TOLD = "told.json"
TOKEN = "token of the turn"
ATTACK = "; ".join(f'python3 {one.name} "$(cat {TOLD})" > {one.stem}.json' for one in SCRIPTS)
COMMIT = "git add --all -- ':!*.json'; git commit --quiet --message planted"
STAY = "sleep 45"
"""So long is looked at it from outside."""
_MARK = 12
ALLOWED = [
    Allowed(
        r"machine, environments of processes: .*", TOKEN, "the agent's own, for the model proxy and this turn only"
    ),
]
PLACES = {
    "machine, docker inspect", "machine, docker logs", "machine, docker top", "machine, environments of processes",
    "machine, arguments of processes", "machine, files of containers", "transcript", "what the model was told",
}  # fmt: skip


@asynccontextmanager
async def with_models(directory: Path, key: Canary) -> AsyncIterator[tuple[Stack, Model]]:
    """A platform in containers whose real key for models is known, and the vendor that takes it."""
    model = Model(keys={key.text})
    async with serving(model) as vendor:
        extra = {
            "ANTHROPIC_API_KEY": key.text,
            "ORCHESTRATOR_ANTHROPIC_BASE_URL": vendor,
            "ORCHESTRATOR_MODEL_PROXY_PORT": str(any_free()),
            "ORCHESTRATOR_AGENT": "scripted",
            "ORCHESTRATOR_RUNTIME": "docker",
        }
        async with running_stack(directory / "home", stop_services=True, **extra) as stack:
            yield stack, model


async def spying(attack: Attack) -> str:
    """A turn of Claude Code in the attacker's project that runs the attack; its container."""
    attacker = attack.attacker
    made = await attacker.ok("worker", "create", "spy", "--agent", "claude-code", "--project", attacker.project)
    attack.spy = made["id"]
    told = attack.stack.home.parent / TOLD
    # Enough to know the other project's secret by, and too little to be it.
    mark = attack.victim.secret[-_MARK:]
    told.write_text(json.dumps(attack.told("172.17.0.1") | {"mark": mark}))
    for file in (told, *SCRIPTS):
        await attacker.ok("worker", "file", made["id"], str(file))
    await attacker.ok("worker", "send", made["id"], "--no-wait", f"[model:run {ATTACK}; {COMMIT}; {STAY}]")
    return turn_name(made["id"], 1)


async def attacked(container: str) -> None:
    """The attack has been made, and the agent is still there."""

    async def has_answers() -> bool:
        said = await docker.try_run("exec", container, "git", "-C", WORKSPACE, "log", "-1", "--format=%s")
        return said.text == "planted"

    # The first turn on a machine builds the image.
    _: bool = await eventually(has_answers, 900, interval=0.5, message="the attack from inside of the agent's turn")


async def answers_in(container: str) -> Answers:
    found: Answers = {}
    for script in SCRIPTS:
        found |= json.loads(await docker.run("exec", container, "cat", f"{WORKSPACE}/{script.stem}.json"))
    return found


async def look_while_it_runs(scan: Scan, container: str) -> None:
    """What the engine says of it, and the environment and arguments of each of its processes."""
    machine = Engine("machine")
    pids = (await docker.run("top", container, "-eo", "pid")).split()[1:]
    processes = {pid: Path("/proc", pid, "environ").read_bytes() for pid in pids if Path("/proc", pid).exists()}
    tokens = {
        value.decode()
        for content in processes.values()
        for name, _, value in (one.partition(b"=") for one in content.split(b"\0"))
        if name == b"ANTHROPIC_API_KEY"
    }
    assert len(tokens) == 1, "a turn has one token"
    scan.knows([known_canary(TOKEN, tokens.pop())])
    for pid, content in processes.items():
        scan.look("machine, environments of processes", pid, content)
        scan.look("machine, arguments of processes", pid, Path("/proc", pid, "cmdline").read_bytes())
    await asyncio.to_thread(machine.look_at_container, scan, container)


async def look_after_it(scan: Scan, attack: Attack, container: str, model: Model) -> None:
    """Its workspace, its home, its transcript, and what the model has been told."""

    async def ended() -> bool:
        return bool((await attack.attacker.ok("worker", "show", attack.spy))["transcripts"])

    _: bool = await eventually(ended, 120, interval=0.5, message="the end of the turn")
    machine = Engine("machine")
    await asyncio.to_thread(machine.look_at_container, scan, container)
    await asyncio.to_thread(machine.look_at_writable, scan, container, [WORKSPACE, HOME])
    for file in (attack.stack.home / "artifacts").rglob("*"):
        if file.is_file():
            scan.look("transcript", file.name, file.read_bytes())
    for request in model.records.requests:
        scan.look("what the model was told", str(request.number), request.body)


async def test_a_real_agent_finds_no_secret_and_reaches_nothing(tmp_path: Path) -> None:
    if (obstacle := no_engine()) is not None:
        pytest.skip(obstacle)
    key = known_canary("key for models", f"sk-ant-{uuid4().hex}{uuid4().hex}")
    async with AsyncExitStack() as opened:
        opened.enter_context(engine.in_use())
        stack, model = await opened.enter_async_context(with_models(tmp_path, key))
        attack = await opened.enter_async_context(two_projects(stack, "docker"))
        scan = Scan([key, *await platform_canaries(stack)], ALLOWED)
        scan.knows([known_canary("secret of the victim", attack.victim.secret)])
        before = attack.untouched()
        await attack.victim.begins_a_turn()
        await turn_of(attack.victim)
        attack.workers = await addresses_of_workers(attack.victim)
        assert attack.workers, "the victim's turn has a gateway"
        await attack.attacker.ok("settings", "set", "egress_hosts", '["*"]', "--project", attack.attacker.project)
        container = await spying(attack)
        await attacked(container)
        answers = await answers_in(container)
        await look_while_it_runs(scan, container)
        await look_after_it(scan, attack, container, model)
        answers[LINKS] = await attack.followed(before)
        log.info("answers", **answers)
    assert not scan.leaks, scan.report()
    assert scan.kept_in(r"machine, environments of processes: .*") == {TOKEN}
    assert {place for place in PLACES if not scan.looked[place]} == set()
    assert attack_table.faults("docker", "model", answers) == [], answers
