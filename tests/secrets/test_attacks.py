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
from pathlib import Path

import psutil
import pytest
import structlog

from tests.secrets import attack_table
from tests.secrets.attack_table import SCRIPTS, Told
from tests.secrets.attacked import LINKS, Answers, Attack, addresses_of_workers, turn_of, two_projects
from tests.support.eventually import eventually
from tests.support.patience import patience, within
from tests.support.ports import any_free, free_ports
from tests.support.services import engine
from tests.support.services.container_service import no_engine
from tests.support.stack import ROOT, Stack, running_stack

log = structlog.get_logger(__name__)
_NO_NEW_PRIVILEGES = 38
pytestmark = [pytest.mark.timeout(1800), pytest.mark.deep]


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
        extra = {"ORCHESTRATOR_RUNTIME": "process", "ORCHESTRATOR_AGENT": "scripted", "ANTHROPIC_API_KEY": "made-up"}
        extra["ORCHESTRATOR_MODEL_PROXY_PORT"] = str(any_free())
        stack = Stack(place / "home", free_ports(3), free_ports(100), extra=extra)
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
    attack.models_port = int(stack.extra["ORCHESTRATOR_MODEL_PROXY_PORT"])
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
    turn, _ = await turn_of(attacker), await turn_of(attack.victim)
    attack.workers = await addresses_of_workers(attack.victim)
    assert attack.workers, "the victim's turn has a gateway"
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


async def follow_what_was_planted(attack: Attack, before: object) -> None:
    """The attacker's turn ends, its work is tested and put online, and the project is started again."""
    stack, attacker = attack.stack, attack.attacker
    assert all(answers[LINKS].startswith("planted: ") for answers in attack.answers.values()), attack.answers
    assert not all(answers[LINKS] == "planted: 0" for answers in attack.answers.values())
    ended = await stack.finished(attacker.turn)
    restarted = (await attacker.ok("deploy", "restart", attacker.project))["task_id"]
    assert (await stack.finished(restarted))["state"] == "completed", ended
    followed = await attack.followed(before)
    for answers in attack.answers.values():
        answers[LINKS] = followed


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
