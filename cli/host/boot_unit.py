"""`orchestrator boot-unit`: a systemd unit with which this platform starts when the machine does."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from cli.client.home import settings_for
from cli.terminal.advice import PROGRAM
from cli.terminal.options import AsJson
from cli.terminal.output import Output
from runtime.settings import Settings

_NAME = "codegen-orchestrator.service"
_UNIT = """\
[Unit]
Description=Codegen orchestrator ({home})
Wants=network-online.target
After=network-online.target docker.service

[Service]
User={user}
Environment={environment}
ExecStart={program} up
# `up` stops its parts in order. Deployed services, agents and tests that run as processes are not its to end.
KillMode=process
TimeoutStopSec=180
Restart=on-failure
RestartSec=5
# Its own settings, such as ORCHESTRATOR_PUBLIC_URL=..., one a line. The file may hold secrets: mode 0600.
EnvironmentFile=-{home}/environment

[Install]
WantedBy=multi-user.target
"""


def boot_unit(as_json: AsJson = False) -> None:
    out = Output(as_json=as_json)
    unit = unit_for(settings_for("boot-unit"))
    out.document({"name": _NAME, "unit": unit})
    out.say(unit.rstrip())
    if not out.as_json and sys.stdout.isatty():
        out.advise(f"To use it: orchestrator boot-unit | sudo tee /etc/systemd/system/{_NAME}")
        out.say(f"Then: sudo systemctl daemon-reload && sudo systemctl enable --now {_NAME}")


def unit_for(settings: Settings) -> str:
    """The unit, with the paths of this program and this home, for the user who asks."""
    variables = {"ORCHESTRATOR_HOME": str(settings.home), "PATH": os.environ.get("PATH", os.defpath)}
    return _UNIT.format(
        home=_escaped(str(settings.home)),
        user=getpass.getuser(),
        environment=" ".join(f'"{name}={_escaped(value)}"' for name, value in variables.items()),
        program=_program(),
    )


def _program() -> str:
    beside = Path(sys.executable).parent / PROGRAM
    return f'"{_escaped(str(beside))}"' if beside.exists() else f'"{_escaped(sys.executable)}" -m cli'


def _escaped(text: str) -> str:
    """Text in which systemd sees nothing of its own."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
