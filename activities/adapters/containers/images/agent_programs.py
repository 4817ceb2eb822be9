"""The agents' programs: packages of npm at exact versions, what is linked from them, and what each must say it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.agent_capabilities import BUILT_IN, unknown
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import AgentKind

PLACE = "/opt/agents"
_PLATFORM = "linux-*"


@dataclass(frozen=True)
class AgentProgram:
    """What the image of one agent has.

    `packages` have exact versions; `overrides` are versions of what they depend on. `programs` are names below
    `/opt/agents/<kind>/bin` and patterns below node_modules, of which the first that exists is linked. `unneeded` are
    patterns that are removed. `says` is what a command prints, at least; `environment` stands in the image.
    """

    packages: Mapping[str, str]
    programs: Mapping[str, tuple[str, ...]]
    says: Mapping[str, str]
    overrides: Mapping[str, str] = field(default_factory=dict)
    unneeded: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


AGENT_PROGRAMS: Mapping[AgentKind, AgentProgram] = {
    AgentKind.CLAUDE_CODE: AgentProgram(
        packages={"@anthropic-ai/claude-code": "2.1.332", "@agentclientprotocol/claude-agent-acp": "0.101.0"},
        programs={
            "claude": (f"@anthropic-ai/claude-code-{_PLATFORM}/claude",),
            "claude-agent-acp": ("@agentclientprotocol/claude-agent-acp/dist/index.js",),
        },
        says={"claude --version": "2.1.332", "claude-agent-acp --version": "0.101.0"},
        # The protocol's adapter brings another Claude Code along: 323 MB, and another version.
        unneeded=(f"@anthropic-ai/claude-agent-sdk-{_PLATFORM}", "@anthropic-ai/claude-code-linux-*-musl"),
        environment={"CLAUDE_CODE_EXECUTABLE": f"{PLACE}/claude-code/bin/claude", "DISABLE_AUTOUPDATER": "1"},
    ),
    AgentKind.CODEX: AgentProgram(
        packages={"@openai/codex": "0.171.0", "@agentclientprotocol/codex-acp": "2.6.0"},
        overrides={"@openai/codex": "$@openai/codex"},
        programs={
            "codex": ("@openai/codex/bin/codex.js",),
            "codex-acp": ("@agentclientprotocol/codex-acp/dist/index.js",),
        },
        says={"codex --version": "0.171.0", "codex-acp --version": "2.6.0"},
        environment={"CODEX_PATH": f"{PLACE}/codex/bin/codex"},
    ),
    AgentKind.FACTORY_DROID: AgentProgram(
        packages={"droid": "0.215.0"},
        programs={"droid": ("@factory/cli-linux-*-baseline/bin/droid", f"@factory/cli-{_PLATFORM}/bin/droid")},
        says={"droid --version": "0.215.0"},
    ),
    AgentKind.OPENCODE: AgentProgram(
        packages={"opencode-ai": "1.18.33"},
        # The one that runs on every processor.
        programs={"opencode": ("opencode-linux-*-baseline/bin/opencode", f"opencode-{_PLATFORM}/bin/opencode")},
        unneeded=("opencode-linux-*-musl", "opencode-linux-x64"),
        says={"opencode --version": "1.18.33"},
    ),
}


def manifest(program: AgentProgram) -> bytes:
    """The package.json of an agent's programs."""
    document = {"private": True, "dependencies": dict(program.packages), "overrides": dict(program.overrides)}
    return json.dumps(document, indent=1).encode()


@dataclass(frozen=True)
class Capability:
    """More than every agent has. Either `packages` of Debian, or a Dockerfile of its own with one that fetches."""

    smoke: str
    packages: tuple[str, ...] = ()
    dockerfile: str = ""
    requirements: str = ""
    program: str = ""
    """A script of ours that stands before its program."""


CAPABILITIES: Mapping[str, Capability] = {
    # There is no credential here; what it reads, it reads through the gateway of its project.
    "github": Capability(
        "gh --version | grep -qF 2.102.0\n! gh repo view",
        dockerfile="github",
        requirements="gh-requirements.txt",
        program="gh.sh",
    ),
    "browser": Capability("chromium --version", packages=("chromium", "fonts-dejavu-core")),
    "postgresql": Capability("psql --version", packages=("postgresql-client",)),
}


def chosen_capabilities(names: list[str] | tuple[str, ...]) -> list[str]:
    """Those that need a layer, each once, in the order of the layers. Raises INVALID_INPUT for an unknown one."""
    if (problem := unknown(list(names))) is not None:
        raise OrchestratorError(ErrorCode.INVALID_INPUT, problem)
    return sorted(set(names) - BUILT_IN)
