"""`python -m workers.agent_login AGENT USER_ID`: an agent's own log-in at this terminal, kept in a volume.

`orchestrator agent login` runs it. The container is that of the agent's turns, without a workspace.
"""

import argparse
import asyncio
import subprocess
import sys

from activities.adapters.containers.engine import MARK, DockerContainerEngine
from activities.adapters.containers.images import DockerImages
from contracts import ids
from contracts.agent_logins import PLACE, login_of
from contracts.errors import OrchestratorError
from contracts.states import AgentKind
from runtime.settings import Settings, load_settings

_LABEL = "codegen-orchestrator.login"
_HARDENED = ("--rm", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "512")


def login_command(image: str, volume: str, kind: AgentKind) -> list[str]:
    """The `docker run` with which a person logs in; it needs a terminal."""
    login = login_of(kind)
    variables = {**login.environment, "HOME": "/tmp"}
    named = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    return [
        "docker", "run", "--interactive", "--tty", *_HARDENED, *named, "--volume", f"{volume}:{PLACE}", image,
        *login.program,
    ]  # fmt: skip


def _owner_command(image: str, volume: str) -> list[str]:
    """A new volume belongs to root, and the agent is not root. Nothing of the agent runs here."""
    return [
        "docker", "run", *_HARDENED, "--cap-add", "CHOWN", "--network", "none", "--user", "0:0",
        "--entrypoint", "chown", "--volume", f"{volume}:{PLACE}", image, "1000:1000", PLACE,
    ]  # fmt: skip


async def _prepared(settings: Settings, kind: AgentKind, user_id: int) -> list[str]:
    engine = DockerContainerEngine()
    volume = ids.login_volume(user_id, kind)
    image = await DockerImages(engine, settings.containers_dir / "locks").agent(kind)
    await engine.ensure_volume(volume, {MARK: "1", _LABEL: kind.value})
    await asyncio.to_thread(subprocess.run, _owner_command(image, volume), check=True)
    return login_command(image, volume, kind)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m workers.agent_login", description=__doc__)
    parser.add_argument("agent", type=AgentKind)
    parser.add_argument("user_id", type=int)
    chosen = parser.parse_args()
    try:
        command = asyncio.run(_prepared(load_settings(), chosen.agent, chosen.user_id))
        return subprocess.run(command, check=False).returncode
    except OrchestratorError as error:
        sys.stderr.write(f"{error.code}: {error.message}\n")
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"Docker could not be used: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
