"""`python -m workers.agent_login AGENT USER_ID`: an agent's own log-in at this terminal, kept in a volume.

`orchestrator agent login` runs it. The container is that of the agent's turns, without a workspace, and like theirs it
has no network: a gateway reaches the vendor of this agent, and nothing else.
"""

import argparse
import asyncio
import subprocess
import sys

from activities.adapters.containers.agent import AGENTS_NETWORK
from activities.adapters.containers.egress import EgressGateways, gateway_name, way_out
from activities.adapters.containers.engine import MARK, DockerContainerEngine
from activities.adapters.containers.images import DockerImages
from contracts import ids
from contracts.agent_logins import PLACE, login_of
from contracts.errors import OrchestratorError
from contracts.states import AgentKind
from runtime.settings import Settings, load_settings

_LABEL = "codegen-orchestrator.login"
_HARDENED = (
    "--rm", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "512", "--network", "none",
)  # fmt: skip
_FORWARDED = (
    """PYTHONPATH=/opt python3 -m egress forward "$ORCHESTRATOR_EGRESS" "$ORCHESTRATOR_EGRESS_PORT" && exec "$@\""""
)
"""The proxy's port on the container's loopback, then the program itself."""


def login_command(image: str, volume: str, kind: AgentKind, program: tuple[str, ...] = ()) -> list[str]:
    """The `docker run` with which a person logs in; it needs a terminal. `program` in place of the log-in's own."""
    login = login_of(kind)
    gateway, proxies = way_out(volume)
    variables = {**login.environment, **proxies, "HOME": "/tmp"}
    named = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    return [
        "docker", "run", "--interactive", "--tty", *_HARDENED, *named, "--volume", f"{volume}:{PLACE}",
        "--volume", f"{gateway.source}:{gateway.target}:ro", image, "sh", "-c", _FORWARDED, "login",
        *(program or login.program),
    ]  # fmt: skip


def _owner_command(image: str, volume: str) -> list[str]:
    """A new volume belongs to root, and the agent is not root. Nothing of the agent runs here."""
    return [
        "docker", "run", *_HARDENED, "--cap-add", "CHOWN", "--user", "0:0",
        "--entrypoint", "chown", "--volume", f"{volume}:{PLACE}", image, "1000:1000", PLACE,
    ]  # fmt: skip


class LogIn:
    """One log-in: its volume, and the gateway while it lasts."""

    def __init__(self, settings: Settings, kind: AgentKind, user_id: int) -> None:
        self._engine = DockerContainerEngine()
        self._images = DockerImages(self._engine, settings.containers_dir / "locks")
        self._gateways = EgressGateways(self._engine, self._images, AGENTS_NETWORK)
        self._kind = kind
        self.volume = ids.login_volume(user_id, kind)

    async def prepare(self) -> str:
        """The image to run it in; what is there already stays."""
        image = await self._images.agent(self._kind)
        labels = {MARK: "1", _LABEL: self._kind.value}
        await self._engine.ensure_volume(self.volume, labels)
        await asyncio.to_thread(subprocess.run, _owner_command(image, self.volume), check=True)
        await self._gateways.open(self.volume, list(login_of(self._kind).hosts), labels)
        return image

    async def remove(self) -> None:
        """Take the log-in away. Removing what is gone is fine; one that a container still has is refused."""
        await self._engine.remove_volume(self.volume)

    async def end(self) -> None:
        await self._gateways.close(self.volume)
        await self._engine.remove_volume(gateway_name(self.volume))


def _logged_in(login: LogIn, kind: AgentKind) -> int:
    """The exit code of the log-in itself. The gateway is there as long as it lasts."""
    image = asyncio.run(login.prepare())
    try:
        return subprocess.run(login_command(image, login.volume, kind), check=False).returncode
    finally:
        asyncio.run(login.end())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m workers.agent_login", description=__doc__)
    parser.add_argument("agent", type=AgentKind)
    parser.add_argument("user_id", type=int)
    parser.add_argument("--logout", action="store_true", help="remove the log-in")
    chosen = parser.parse_args()
    try:
        login = LogIn(load_settings(), chosen.agent, chosen.user_id)
        if chosen.logout:
            asyncio.run(login.remove())
            return 0
        return _logged_in(login, chosen.agent)
    except OrchestratorError as error:
        sys.stderr.write(f"{error.code}: {error.message}\n")
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"Docker could not be used: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
