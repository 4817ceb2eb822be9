"""The long-lived parts of a platform on one host, and how each is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from cli.client.home import REMEMBERED_PORTS
from cli.host.processes import Command, ProcessBook
from contracts.errors import ErrorCode, OrchestratorError
from runtime.embedded import dev_server, ports, postgres
from runtime.runtime_report import RuntimeReport
from runtime.settings import WEB_UI_PATH, Settings, database_address
from runtime.temporal.client import connect_config

POSTGRES, TEMPORAL, API, WORKERS = "postgres", "temporal", "api", "workers"
START_ORDER = (POSTGRES, TEMPORAL, API, WORKERS)
MODEL_PROXY = "model-proxy"
"""Starts before the Temporal workers, and only where there is a key for models."""
BOT = "bot"
"""Starts last, and only where the settings have a token for it."""
STOP_ORDER = (BOT, WORKERS, MODEL_PROXY, API, TEMPORAL, POSTGRES)
SUPERVISOR = "supervisor"
_WORKERS_GRACE_S = 30.0
_PROXY_MODULE = "api.model_proxy"
_DATABASE = frozenset({"DATABASE_URL", "ORCHESTRATOR_DATABASE_URL"})
_ONLY_OF_THE_BOT = frozenset({"ORCHESTRATOR_BOT_TOKEN"})
_VENDORS = ("ANTHROPIC", "OPENAI")
_KEYS_OF_MODELS = frozenset(f"{prefix}{vendor}_API_KEY" for prefix in ("", "ORCHESTRATOR_") for vendor in _VENDORS)
_OF_MODELS = _KEYS_OF_MODELS | frozenset(
    f"ORCHESTRATOR_{vendor}_{rest}" for vendor in _VENDORS for rest in ("API_KEY_FILE", "BASE_URL")
)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of one of our processes. The scripts of this installation (`git` hooks, `ansible`) come first."""
    scripts = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    withheld = _ONLY_OF_THE_BOT | _KEYS_OF_MODELS
    kept = {name: value for name, value in os.environ.items() if name.upper() not in withheld}
    return {**kept, "PATH": path if path.startswith(scripts) else f"{scripts}{os.pathsep}{path}", **extra}


def child_environment(settings: Settings) -> dict[str, str]:
    """The variables that give another of our processes exactly these settings."""
    chosen = {f"ORCHESTRATOR_{name.upper()}": str(getattr(settings, name)) for name in REMEMBERED_PORTS}
    return {
        **chosen,
        "ORCHESTRATOR_HOME": str(settings.home),
        "ORCHESTRATOR_PUBLIC_URL": settings.public_url or "",
        # It may follow from a key, which most of them do not see.
        **({"ORCHESTRATOR_AGENT": settings.agent_for_new_work.value} if settings.has_model_key else {}),
    }


def bot_environment() -> dict[str, str]:
    """What the bot needs to know and no other process."""
    return {name: os.environ[name] for name in _ONLY_OF_THE_BOT if name in os.environ}


def model_environment(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Keys for models and where their vendors are, for the model proxy and the supervisor that starts it again."""
    return {name: value for name, value in variables.items() if name.upper() in _OF_MODELS}


def without_database(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without the database's address: it holds a password, which only parts that use the database may
    have."""
    return {name: value for name, value in env.items() if name.upper() not in _DATABASE}


@dataclass(frozen=True)
class Listener:
    """A port that a part listens on, and the setting that changes it."""

    port: int
    setting: str


class Parts:
    """What belongs to this home. Making one starts nothing and connects to nothing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.book = ProcessBook(settings.processes_dir, settings.logs_dir)

    @property
    def has_own_postgres(self) -> bool:
        return self.settings.database_url is None

    @cached_property
    def temporal_target(self) -> str:
        """The address that Temporal's own configuration names, else the embedded server's."""
        return str(connect_config(self.settings)["target_host"])

    @property
    def has_own_temporal(self) -> bool:
        return self.temporal_target == self.settings.temporal_address

    @property
    def is_run_elsewhere(self) -> bool:
        """Whether Compose runs the parts: then there are no records of processes, and each part is asked itself."""
        return self.settings.stack == "compose"

    @property
    def names(self) -> list[str]:
        """The parts that are ours to run, in the order of their start."""
        if self.is_run_elsewhere:
            return []
        foreign = set() if self.has_own_postgres else {POSTGRES}
        foreign |= set() if self.has_own_temporal else {TEMPORAL}
        bot = [BOT] if self.settings.has_bot else []
        proxy = [MODEL_PROXY] if self.has_model_key else []
        own = [name for name in START_ORDER if name not in foreign]
        return [*own[:-1], *proxy, own[-1], *bot]

    @property
    def has_model_key(self) -> bool:
        """Whether there is a key for models: given to this process or to the proxy that runs, or in the vault when `up`
        has last looked."""
        return self.settings.has_model_key or self.runs_model_proxy or self.stored_model_keys

    @property
    def runs_model_proxy(self) -> bool:
        return self.book.record(MODEL_PROXY) is not None

    @property
    def stored_model_keys(self) -> bool:
        return self._stored_keys_file.exists()

    @stored_model_keys.setter
    def stored_model_keys(self, there: bool) -> None:
        self._stored_keys_file.touch() if there else self._stored_keys_file.unlink(missing_ok=True)

    @property
    def _stored_keys_file(self) -> Path:
        return self.settings.processes_dir / "model-keys.stored"

    @property
    def ready_file(self) -> Path:
        """The workers write it once every queue is polled."""
        return self.settings.processes_dir / "workers.ready"

    @property
    def bot_ready_file(self) -> Path:
        """The bot writes it once it receives updates."""
        return self.settings.processes_dir / "bot.ready"

    @property
    def without_a_key(self) -> str:
        """What anybody who reaches the Temporal server can do, and what not."""
        can = "can list ids, hold up, reset, cancel and terminate work; it can start, answer and read nothing"
        if not self.has_own_temporal:
            return f"whoever reaches {self.temporal_target} without a key {can}"
        ports = f"{self.settings.temporal_port} and {self.settings.ui_port}"
        return f"every program on this machine reaches Temporal (ports {ports}) and {can}"

    @property
    def urls(self) -> dict[str, object]:
        """The addresses that people open."""
        api = self.settings.api_url
        return {"api_url": api, "openapi_url": f"{api}/openapi.json", "web_ui_url": self.settings.web_ui_url}

    @property
    def runtime_report(self) -> RuntimeReport | None:
        return RuntimeReport.read(self.settings.runtime_report_file)

    @property
    def runtime(self) -> str | None:
        """Whether agents, tests and services run in containers or as processes, and why, in words."""
        found = self.runtime_report
        return found.shown if found else None

    def listeners(self, name: str) -> list[Listener]:
        """The ports that must be free before a part starts."""
        settings = self.settings
        if name == TEMPORAL:
            return [
                Listener(settings.temporal_port, "ORCHESTRATOR_TEMPORAL_PORT"),
                Listener(settings.ui_port, "ORCHESTRATOR_UI_PORT"),
            ]
        if name == BOT and settings.bot_webhook_url:
            return [Listener(settings.bot_webhook_port, "ORCHESTRATOR_BOT_WEBHOOK_PORT")]
        if name == MODEL_PROXY:
            return [Listener(settings.model_proxy_port, "ORCHESTRATOR_MODEL_PROXY_PORT")]
        return [Listener(settings.api_port, "ORCHESTRATOR_API_PORT")] if name == API else []

    def command(self, name: str) -> Command:
        """How to start a part now; preparing PostgreSQL's directory takes seconds the first time."""
        found = self._command(name)
        if name == MODEL_PROXY:
            return replace(found, env={**found.env, **model_environment()})
        return replace(
            found, env={key: value for key, value in found.env.items() if key.upper() not in _KEYS_OF_MODELS}
        )

    def _command(self, name: str) -> Command:
        if name == POSTGRES:
            return self._postgres()
        if name == TEMPORAL:
            return self._temporal()
        if name == API:
            return self.module("api")
        if name == BOT:
            return self._bot()
        if name == MODEL_PROXY:
            return self.module(_PROXY_MODULE)
        self.ready_file.unlink(missing_ok=True)
        return self.module("workers", grace_s=_WORKERS_GRACE_S)

    @property
    def spare_workers(self) -> Command:
        """Temporal workers that load everything and wait until they are needed."""
        return self.module("workers", "--spare", grace_s=_WORKERS_GRACE_S)

    def module(self, *arguments: str, grace_s: float = 15.0) -> Command:
        """A program of this installation, with exactly these settings; the database is the API's and the proxy's."""
        extra = {**child_environment(self.settings), "ORCHESTRATOR_READY_FILE": str(self.ready_file)}
        env = without_database(environment(extra))
        if arguments[0] in {API, _PROXY_MODULE}:
            env["DATABASE_URL"] = self.database_url
        return Command(argv=[sys.executable, "-m", *arguments], env=env, cwd=_installation(), grace_s=grace_s)

    @property
    def database_url(self) -> str:
        """The URL of PostgreSQL with its password, for the environment of our own processes."""
        known = database_address(self.settings)
        return known or postgres.prepare(self.settings.postgres_dir, self.settings.postgres_port).url

    def _bot(self) -> Command:
        self.bot_ready_file.unlink(missing_ok=True)
        command = self.module("bot")
        # It talks to Telegram and the API: the database's password is not for it.
        env = {name: value for name, value in command.env.items() if name != "DATABASE_URL"}
        extra = {**bot_environment(), "ORCHESTRATOR_BOT_READY_FILE": str(self.bot_ready_file)}
        return replace(command, env={**env, **extra})

    def _postgres(self) -> Command:
        prepared = postgres.prepare(self.settings.postgres_dir, self.settings.postgres_port)
        return Command(
            argv=prepared.argv,
            env=prepared.env,
            cwd=prepared.cwd,
            user_id=prepared.user_id,
            group_id=prepared.group_id,
            stop_signal=postgres.STOP_SIGNAL,
            adopt_pid=prepared.running_pid,
        )

    @property
    def temporal_options(self) -> dev_server.DevServerOptions:
        """The options of the embedded Temporal server."""
        settings = self.settings
        return dev_server.DevServerOptions(
            port=settings.temporal_port,
            ui_port=settings.ui_port,
            # Relative to where the UI is opened: behind the API's login that is the API; elsewhere nothing decodes.
            ui_codec_endpoint="/codec",
            ui_public_path=WEB_UI_PATH,
            db_file=settings.temporal_db_file,
        )

    def _temporal(self) -> Command:
        directory = self.settings.temporal_db_file.parent
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        env = without_database(dev_server.environment())
        return Command(argv=dev_server.command(self.temporal_options), env=env, cwd=directory)

    def check_ports(self, name: str) -> None:
        """Raises OrchestratorError CONFLICT that names the busy port and the setting that moves it."""
        for listener in self.listeners(name):
            if not ports.is_free(listener.port):
                raise OrchestratorError(
                    ErrorCode.CONFLICT,
                    f"Another program uses port {listener.port}, which {name} needs. Stop that program, or choose "
                    f"other ports with `orchestrator up --port-base 18180` or {listener.setting}.",
                    details={"port": listener.port, "setting": listener.setting},
                )


def _installation() -> Path:
    """Where our packages are: a source tree that is not installed has to be the current directory."""
    return Path(__file__).resolve().parents[2]
