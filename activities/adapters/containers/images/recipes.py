"""Which layers an image has: of the worker image, of each agent, of a capability. Reads files: call it in a thread."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from uv import find_uv_bin

import activities
from activities.adapters.containers.images.agent_programs import (
    AGENT_PROGRAMS,
    CAPABILITIES,
    PLACE,
    AgentProgram,
    chosen_capabilities,
    manifest,
)
from activities.adapters.containers.images.layers import WORKER, Layer, Source, tree
from activities.adapters.containers.images.thin_wheel import thin_wheel
from activities.adapters.packages import pip_settings
from contracts.states import AgentKind

_SOURCE_ROOT = Path(activities.__file__).resolve().parent.parent
_IMAGES = _SOURCE_ROOT / "infra" / "images"
_AGENTS = _IMAGES / "agents"
_SCRIPTED = _SOURCE_ROOT / "activities" / "adapters" / "agents" / "scripted"
_WRAPPER = _SOURCE_ROOT / "activities" / "adapters" / "agents" / "wrapper"
_EGRESS = _SOURCE_ROOT / "infra" / "egress"
_PLACES = (
    "test $(id -u) = 1000 && touch /workspace/x /project/x /venv/x /out/x /gateway/x /opt/environment/x"
    " && git --version && make --version"
)
_WORKER_SMOKE = (
    f"{_PLACES} && python3 -m venv --without-pip /venv/smoke && python3 -m pip --version"
    " && python3 /opt/scripted_agent --version"
)
# An old Node would be no error of npm's: it would bring an old agent.
_BASE_SMOKE = f"""{_PLACES}
node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 22 ? 1 : 0)'
npm --version
ps -p $$ >/dev/null
uv --version
/opt/acp/bin/python -c 'import acp'
"""
_PROGRAMS_SMOKE = """test -x /usr/local/bin/worker-run
orchestrator --help >/dev/null
ORCHESTRATOR_OUTCOME=/tmp/outcome orchestrator report --done works
! /opt/orchestrator/bin/python -c 'import temporalio' 2>/dev/null
! /opt/acp/bin/python -c 'import temporalio' 2>/dev/null
! python3 -c 'import temporalio' 2>/dev/null
"""


def worker_layers() -> list[Layer]:
    """The image of the scripted agent and of tests."""
    files: dict[str, Source] = {"worker-run.sh": (_IMAGES / "worker-run.sh", 0o755)}
    files |= tree(_SCRIPTED, "scripted_agent") | tree(_EGRESS, "egress")
    dockerfile = text_of("system.Dockerfile") + text_of("worker.Dockerfile")
    return [Layer(WORKER, dockerfile, _WORKER_SMOKE, files, _uv(), version("uv"))]


def browser_layers() -> list[Layer]:
    """The image of checks of pages."""
    packages = {"PACKAGES": "chromium fonts-dejavu-core"}
    smoke = "chromium --version --no-sandbox"
    return [*worker_layers(), Layer("browser", text_of("agents/apt.Dockerfile"), smoke, arguments=packages)]


def agent_layers(kind: AgentKind, capabilities: list[str] | tuple[str, ...] = ()) -> list[Layer]:
    """What is large and seldom changes comes first. Raises INVALID_INPUT for a capability that is not known."""
    chosen = chosen_capabilities(capabilities)
    scripted = kind is AgentKind.SCRIPTED
    layers = worker_layers() if scripted else [_base(), _agent(kind, AGENT_PROGRAMS[kind])]
    for number, name in enumerate(chosen, start=1):
        layers.append(_capability(".".join([kind.value, *chosen[:number]]), name))
    return layers if scripted else [*layers, _programs(".".join([kind.value, *chosen, "ready"]))]


def _base() -> Layer:
    files: dict[str, Source] = {
        name: (_AGENTS / name, 0o644) for name in ("acp-requirements.txt", "node-requirements.txt")
    }
    files["pip_settings.py"] = (Path(pip_settings.__file__), 0o644)
    system = text_of("system.Dockerfile")
    return Layer(
        "base",
        f"ARG FETCHED\nFROM $FETCHED AS fetched\n{system}{text_of('agents/base.Dockerfile')}",
        _BASE_SMOKE,
        files,
        _uv(),
        version("uv"),
        fetch=system + text_of("agents/base-fetch.Dockerfile"),
    )


def _agent(kind: AgentKind, program: AgentProgram) -> Layer:
    links = "".join(f"{name} {' '.join(patterns)}\n" for name, patterns in program.programs.items())
    files: dict[str, Source] = {
        "package.json": (manifest(program), 0o644),
        "package-lock.json": (_AGENTS / "locks" / f"{kind.value}.json", 0o644),
        "programs": (links.encode(), 0o644),
        "unneeded": ("".join(f"{pattern}\n" for pattern in program.unneeded).encode(), 0o644),
        "fetch-agent.sh": (_AGENTS / "fetch-agent.sh", 0o644),
        "check-lock.js": (_AGENTS / "check-lock.js", 0o644),
    }
    variables = "".join(f"ENV {name}={value}\n" for name, value in program.environment.items())
    smoke = "".join(
        f"{command} | tee /tmp/said\ngrep -qF '{said}' /tmp/said\n" for command, said in program.says.items()
    )
    return Layer(
        kind.value,
        text_of("agents/agent.Dockerfile") + variables,
        f"export PATH={PLACE}/{kind.value}/bin:/opt/node/bin:/usr/bin:/bin\n{smoke}",
        files,
        fetch=text_of("agents/agent-fetch.Dockerfile"),
        arguments={"AGENT": kind.value},
    )


def _capability(slot: str, name: str) -> Layer:
    row = CAPABILITIES[name]
    if row.packages:
        return Layer(slot, text_of("agents/apt.Dockerfile"), row.smoke, arguments={"PACKAGES": " ".join(row.packages)})
    files: dict[str, Source] = {
        row.requirements: (_AGENTS / row.requirements, 0o644),
        "pip_settings.py": (Path(pip_settings.__file__), 0o644),
        row.program: (_AGENTS / row.program, 0o755),
    }
    dockerfile, fetch = (
        text_of(f"agents/{row.dockerfile}.Dockerfile"),
        text_of(f"agents/{row.dockerfile}-fetch.Dockerfile"),
    )
    return Layer(slot, dockerfile, row.smoke, files, fetch=fetch)


def _programs(slot: str) -> Layer:
    """The launcher, the way out, the wrapper that speaks with the agent, and the program `orchestrator`."""
    name, wheel = thin_wheel(_SOURCE_ROOT)
    files: dict[str, Source] = {
        "root/usr/local/bin/worker-run": (_IMAGES / "worker-run.sh", 0o755),
        f"root/opt/wheel/{name}": (wheel, 0o644),
    }
    files |= tree(_EGRESS, "root/opt/egress") | tree(_WRAPPER, "root/opt/agent_wrapper")
    return Layer(slot, text_of("agents/programs.Dockerfile"), _PROGRAMS_SMOKE, files)


def _uv() -> dict[str, Source]:
    return {"uv": (Path(find_uv_bin()), 0o755)}


def text_of(name: str) -> str:
    """A file of `infra/images`."""
    return (_IMAGES / name).read_text()
