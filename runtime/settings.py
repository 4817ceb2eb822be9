"""Settings of the platform: read once by a program's entry point and passed down from there.

Every field has the environment variable `ORCHESTRATOR_<FIELD>`; `DATABASE_URL` is
understood under its usual name. The Temporal address
and its credentials come from Temporal's own environment configuration, see `runtime.temporal.client`.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.states import AcceptanceMode, AgentKind

PREFIX = "ORCHESTRATOR_"
WEB_UI_PATH = "/temporal"
"""Below this path the API serves the Temporal Web UI, whose server is started with the same public path."""
GIT_PATH = "/git"
"""Below this path the API serves repositories of the local forge to Git."""
LOCAL_FORGE = "local"
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_URL_SCHEMES = ("postgresql+asyncpg://", "postgresql://", "postgres://")

Port = Annotated[int, Field(ge=1, le=65535)]
BaseUrl = Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$", max_length=500)]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")]


def _default_home() -> Path:
    data_home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data_home).expanduser() / "codegen-orchestrator"


@cache
def _installed() -> str:
    try:
        return version("codegen-orchestrator")
    except PackageNotFoundError:
        # A source tree that was never installed.
        return "0+source"


class Settings(BaseSettings):
    """Immutable; making one reads the environment and touches nothing on the disk."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    home: Path = Field(default_factory=_default_home)
    api_host: str = "127.0.0.1"
    api_port: Port = 8180
    api_names: Annotated[tuple[HostName, ...], NoDecode] = Field(default=(), description="other host names of the API")
    ui_port: Port = 8233
    temporal_port: Port = 7233
    postgres_port: int = Field(default=0, ge=0, le=65535, description="0: a unix socket where possible")
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("database_url", "ORCHESTRATOR_DATABASE_URL", "DATABASE_URL"),
        description="None: the embedded server",
    )
    agent: AgentKind = Field(default=AgentKind.SCRIPTED, description="what new work uses unless it names one")
    runtime: Literal["auto", "docker", "process"] = Field(
        default="auto", description="where agents work and tests run; auto: containers when Docker can be used"
    )
    trust_processes: bool = Field(
        default=False,
        description="let several people work as processes of this machine, which they share",
    )
    stack: Literal["host", "compose"] = Field(default="host", description="who starts the parts: `up`, or Compose")
    forge: str = Field(default="local", pattern=r"^[a-z][a-z0-9_-]{0,30}$", description="where repositories live")
    admin_user_id: int = Field(default=1, ge=1)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_json: bool = False
    public_host: str = Field(default="127.0.0.1", min_length=1)
    public_url: str | None = Field(default=None, description="where people open the API and the Web UI; None: api_url")
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(), description="from where `proxy_user_header` is believed"
    )
    proxy_user_header: str = Field(default="X-Forwarded-User", pattern=r"^[A-Za-z][A-Za-z0-9-]{0,99}$")
    proxy_users: Annotated[dict[str, int], NoDecode] = Field(
        default_factory=dict, description="names that the proxy gives, and whose ids they are"
    )
    proxy_secret: SecretStr | None = Field(default=None, min_length=16, description="what the proxy proves itself with")
    database_password_file: Path | None = Field(
        default=None, description="a file with the password for DATABASE_URL, which then names none"
    )
    ui_upstream: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+$",
        description="the server of a Temporal Web UI elsewhere; None: ui_port of this host",
    )
    server: str | None = Field(
        default=None,
        pattern=r"^[a-z_][a-z0-9_-]{0,31}@[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]{1,5})?$",
        description="user@host[:port] of the server that every project is deployed to; None: this machine",
    )
    watch_s: int = Field(
        default=20,
        ge=0,
        le=600,
        description="how long a new release is watched where neither project nor installation say",
    )
    acceptance: AcceptanceMode = Field(
        default=AcceptanceMode.BINDING,
        description="whether the running service is checked against the description, where neither project nor "
        "installation say",
    )
    worker_beat_s: int = Field(default=10, ge=1, le=60, description="how often a Temporal worker says that it lives")
    spare_workers: bool = Field(
        default=True,
        description="keep a second Temporal worker loaded, so that a killed one is replaced sooner",
    )
    queue_grace_s: float = Field(
        default=15.0, ge=0, le=3600, description="how long a task queue may be without a worker before people are told"
    )
    maintenance_every_s: float = Field(
        default=60.0, ge=1, le=3600, description="how often open tasks are compared with Temporal"
    )
    build: str = Field(default="", pattern=r"^[A-Za-z0-9.]{0,64}$", description="which build this is; images set it")
    keep_days: int = Field(
        default=14, ge=1, le=36_500, description="how long ended runs, unused environments and merged branches stay"
    )
    keep_releases: int = Field(default=5, ge=2, le=1_000, description="how many releases of a project stay built")
    service_port_min: Port = 18000
    service_port_max: Port = 18999
    requests_per_minute: int = Field(default=6000, ge=1, description="of one key; the platform's own are not counted")
    anonymous_requests_per_minute: int = Field(default=1200, ge=1, description="of one address, without a known key")
    wrong_keys_per_minute: int = Field(default=100, ge=1, description="of one address, before it is locked out")
    lock_out_s: float = Field(default=60.0, gt=0, le=86_400, description="for how long")
    streams_per_key: int = Field(default=100, ge=1, description="how many streams of events one key may read at once")
    streams: int = Field(default=1000, ge=1, description="how many streams are read at once in all")
    header_timeout_s: float = Field(default=10.0, gt=0, description="in which the head of a request has to arrive")
    body_timeout_s: float = Field(default=30.0, gt=0, description="in which its body has to arrive")
    max_projects_per_user: int = Field(default=200, ge=1, description="that are not archived")
    max_agent_workers_per_user: int = Field(
        default=10, ge=1, description="that people make; those of tasks do not count"
    )
    agent_worker_idle_s: int = Field(
        default=3 * 86_400, ge=60, description="seconds without a message after which one that a person made ends"
    )
    agent_logins: bool = Field(
        default=False, description="agent workers may use their owner's own log-in at the agent's vendor"
    )
    max_running_tasks_per_user: int = Field(default=50, ge=1, description="at once; deliveries count once")
    anthropic_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("anthropic_api_key", "ORCHESTRATOR_ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY"),
        description="of Anthropic's API; only the model proxy has it",
    )
    anthropic_api_key_file: Path | None = Field(default=None, description="a file with the key, instead of itself")
    anthropic_base_url: BaseUrl = Field(
        default="https://api.anthropic.com", description="of the Messages API; another one for your own gateway"
    )
    openai_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("openai_api_key", "ORCHESTRATOR_OPENAI_API_KEY", "OPENAI_API_KEY"),
        description="of OpenAI's API; only the model proxy has it",
    )
    openai_api_key_file: Path | None = Field(default=None, description="a file with the key, instead of itself")
    openai_base_url: BaseUrl = Field(
        default="https://api.openai.com/v1",
        description="of the Responses and Chat Completions APIs; another one for your own gateway",
    )
    time4vps_url: BaseUrl = Field(
        default="https://billing.time4vps.com/api", description="of Time4VPS's API; another one for an emulator of it"
    )
    model_proxy_port: Port = 8183
    model_volume: str | None = Field(
        default=None,
        pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$",
        description="the Docker volume with the socket of the model proxy, with Compose; None: its directory",
    )
    model_requests: int = Field(default=20, ge=1, le=1_000, description="how many one account answers at once")
    model_silence_s: float = Field(
        default=600.0, gt=0, le=3600, description="how long a model may send nothing before its request is given up"
    )
    model_vendor_tools: bool = Field(
        default=False, description="whether agents may have the vendor search, fetch and run things by itself"
    )
    unknown_price_input: float = Field(
        default=10.0, ge=0, le=10_000, description="US dollars for a million tokens sent to a model of unknown price"
    )
    unknown_price_output: float = Field(
        default=50.0, ge=0, le=10_000, description="US dollars for a million tokens received from such a model"
    )
    bot_token: SecretStr | None = Field(default=None, description="of Telegram; without one there is no bot")
    bot_token_file: Path | None = Field(default=None, description="a file with the token, instead of the token itself")
    bot_api_url: str = Field(default="https://api.telegram.org", description="another one for a server of your own")
    bot_webhook_url: str | None = Field(default=None, description="None: long polling")
    bot_webhook_secret_file: Path | None = Field(default=None, description="None: made, and kept in the home")
    bot_webhook_host: str = "127.0.0.1"
    bot_webhook_port: Port = 8182
    backup_repository: str | None = Field(
        default=None,
        pattern=r"^(/|sftp:|s3:)[^\s\x00-\x1f]{1,500}$",
        description="where restic keeps backups: a directory, sftp:user@host:/path or s3:https://host/bucket",
    )
    backup_password_file: Path | None = Field(default=None, description="a file with the repository's password")
    backup_access_file: Path | None = Field(
        default=None, description="a file of NAME=value lines that restic needs to get there, such as S3 keys"
    )
    backup_every_h: int = Field(default=24, ge=1, le=24 * 31, description="hours between scheduled backups")
    backup_verify_days: int = Field(
        default=7, ge=1, le=366, description="days after which a scheduled backup is restored for comparison again"
    )
    backup_keep_days: int = Field(default=30, ge=1, le=36_500, description="how long backups are kept")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, and that over the file."""
        return init_settings, env_settings, dotenv_settings

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        expanded = value.expanduser()
        if not expanded.is_absolute():
            raise ValueError("use an absolute path")
        return expanded

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _asyncpg(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        url = value.get_secret_value()
        for scheme in _URL_SCHEMES:
            if url.startswith(scheme):
                return SecretStr(f"postgresql+asyncpg://{url.removeprefix(scheme)}")
        raise ValueError("use postgresql://user:password@host:port/name")

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.username:
            raise ValueError("use https://host or https://host:port, without a path")
        default = {"http": 80, "https": 443}[parts.scheme]
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in {None, default} else "")

    @field_validator("api_names", "trusted_proxies", mode="before")
    @classmethod
    def _with_commas(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("proxy_users", mode="before")
    @classmethod
    def _named_users(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.rpartition("=") for part in value.split(",") if part.strip()]
        if not all(name.strip() and number.strip().isdecimal() for name, _, number in pairs):
            raise ValueError("use NAME=USER_ID,NAME=USER_ID")
        return {name.strip(): int(number) for name, _, number in pairs}

    @field_validator(
        "anthropic_api_key",
        "anthropic_api_key_file",
        "openai_api_key",
        "openai_api_key_file",
        "model_volume",
        "database_url",
        "database_password_file",
        "public_url",
        "proxy_secret",
        "ui_upstream",
        "server",
        "bot_token",
        "bot_token_file",
        "bot_webhook_url",
        "backup_repository",
        "backup_password_file",
        "backup_access_file",
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _ports_in_order(self) -> Self:
        if self.service_port_min > self.service_port_max:
            raise ValueError("ORCHESTRATOR_SERVICE_PORT_MIN is above ORCHESTRATOR_SERVICE_PORT_MAX; swap the two")
        return self

    @model_validator(mode="after")
    def _proxies_can_be_believed(self) -> Self:
        if not self.trusted_proxies:
            return self
        if self.public_url is None:
            raise ValueError(
                "ORCHESTRATOR_TRUSTED_PROXIES needs ORCHESTRATOR_PUBLIC_URL, the address that browsers see"
            )
        if self.proxy_secret is None and any(
            network.overlaps(own) for network in self.trusted_proxies for own in _LOOPBACK
        ):
            raise ValueError(
                "a proxy on this host needs ORCHESTRATOR_PROXY_SECRET: all programs on this host have the same address"
            )
        return self

    @model_validator(mode="after")
    def _one_bot_token(self) -> Self:
        if self.bot_token is not None and self.bot_token_file is not None:
            raise ValueError("ORCHESTRATOR_BOT_TOKEN and ORCHESTRATOR_BOT_TOKEN_FILE are both set; keep one of them")
        return self

    @property
    def has_bot(self) -> bool:
        """Whether a bot is to run."""
        return self.bot_token is not None or self.bot_token_file is not None

    @property
    def has_model_key(self) -> bool:
        """Whether this process was given a key for models; the vault may have one, too."""
        given = (self.anthropic_api_key, self.anthropic_api_key_file, self.openai_api_key, self.openai_api_key_file)
        return any(one is not None for one in given)

    @property
    def agent_for_new_work(self) -> AgentKind:
        """The one that was chosen, else one that can work with the keys that this process was given."""
        if "agent" in self.model_fields_set or not self.has_model_key:
            return self.agent
        has_anthropic = self.anthropic_api_key is not None or self.anthropic_api_key_file is not None
        return AgentKind.CLAUDE_CODE if has_anthropic else AgentKind.CODEX

    @property
    def start_command(self) -> str:
        """The command that starts what is not running."""
        return "docker-compose up -d" if self.stack == "compose" else "orchestrator up --detach"

    @property
    def api_url(self) -> str:
        return f"http://{self.api_host}:{self.api_port}"

    @property
    def temporal_address(self) -> str:
        """Address of the embedded Temporal server."""
        return f"127.0.0.1:{self.temporal_port}"

    @property
    def site_url(self) -> str:
        """Where people open what the API serves."""
        return self.public_url or self.api_url

    @property
    def web_ui_url(self) -> str:
        """Where people open the Temporal Web UI: behind the API's login, with readable payloads."""
        return f"{self.site_url}{WEB_UI_PATH}"

    @property
    def ui_origin(self) -> str:
        """The server of the Web UI, which has no login."""
        return self.ui_upstream or f"http://127.0.0.1:{self.ui_port}"

    @property
    def ui_url(self) -> str:
        """The Web UI itself, without a login; it shows payloads as they are stored, encrypted."""
        return f"{self.ui_origin}{WEB_UI_PATH}"

    @property
    def version(self) -> str:
        """The version of the installed package, with the build if it is known."""
        return f"{_installed()}+{self.build}" if self.build else _installed()

    @property
    def model_socket(self) -> Path:
        """Where the model proxy listens. Its directory is mounted into the containers of agents."""
        return self.home / "sockets" / "model" / "proxy.sock"

    @property
    def model_proxy_url(self) -> str:
        """The model proxy for programs of this machine."""
        return f"http://127.0.0.1:{self.model_proxy_port}"

    @property
    def server_keys_dir(self) -> Path:
        """The private key `id_ed25519` and the `known_hosts` with which the server of the settings is reached."""
        return self.home / "keys" / "server"

    @property
    def forge_dir(self) -> Path:
        """Bare repositories of the local forge."""
        return self.home / "forge"

    @property
    def artifacts_dir(self) -> Path:
        return self.home / "artifacts"

    @property
    def runs_dir(self) -> Path:
        """Detached runs: tests and deploys."""
        return self.home / "runs"

    @property
    def agents_dir(self) -> Path:
        """Workspaces and homes of agent workers in the process runtime."""
        return self.home / "agents"

    @property
    def containers_dir(self) -> Path:
        """What the platform knows about containers of agents and tests, where they run in containers."""
        return self.home / "containers"

    @property
    def services_dir(self) -> Path:
        """Release directories of services on the local target."""
        return self.home / "services"

    @property
    def postgres_dir(self) -> Path:
        return self.home / "postgres"

    @property
    def temporal_db_file(self) -> Path:
        return self.home / "temporal" / "temporal.db"

    @property
    def logs_dir(self) -> Path:
        return self.home / "logs"

    @property
    def held_dir(self) -> Path:
        """What running Temporal workers of this machine are doing."""
        return self.home / "held"

    @property
    def processes_dir(self) -> Path:
        """What `up` started: process ids and start times."""
        return self.home / "processes"

    @property
    def runtime_report_file(self) -> Path:
        """Whether agents, tests and services run in containers or as processes."""
        return self.processes_dir / "runtime"

    @property
    def backups_dir(self) -> Path:
        """What is known of backups, and room for the one that is being made."""
        return self.home / "backups"

    @property
    def restored_file(self) -> Path:
        """Of a home that was restored from a backup, until its parts have been told where they are now."""
        return self.home / "restored.json"

    @property
    def codec_key_file(self) -> Path:
        """Keys of workflow payloads."""
        return self.home / "keys" / "payload.json"

    @property
    def vault_key_file(self) -> Path:
        """Keys of stored secrets."""
        return self.home / "keys" / "vault.json"

    @property
    def api_service_key_file(self) -> Path:
        """The key with which the platform's own processes talk to the API."""
        return self.home / "keys" / "api-service.key"

    @property
    def bot_key_file(self) -> Path:
        """The key with which the bot talks to the API: in the name of people, with their rights."""
        return self.home / "keys" / "bot.key"

    @property
    def bot_webhook_secret_path(self) -> Path:
        """What Telegram sends with each update to prove that it is Telegram."""
        return self.bot_webhook_secret_file or self.home / "keys" / "bot-webhook.key"


def database_address(settings: Settings) -> str | None:
    """DATABASE_URL with the password from its file; None for the embedded server.

    Raises OrchestratorError SETTINGS_INVALID when the file cannot be read.
    """
    if settings.database_url is None:
        return None
    url, file = settings.database_url.get_secret_value(), settings.database_password_file
    if file is None:
        return url
    try:
        password = quote(file.read_text().strip(), safe="")
    except OSError as error:
        raise _invalid(f"ORCHESTRATOR_DATABASE_PASSWORD_FILE: {file} cannot be read: {error.strerror}.") from None
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username or ''}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()


def load_settings(env_file: Path | None = None) -> Settings:
    """Settings from the environment and, if given, from a file of `NAME=value` lines (unknown names refused).

    Raises OrchestratorError SETTINGS_INVALID that names each bad variable; values are never shown.
    """
    if env_file is not None and not env_file.is_file():
        raise _invalid(f"The settings file {env_file} does not exist.")
    try:
        # pydantic-settings understands this private argument; its mypy plugin knows it as well.
        return Settings(_env_file=env_file)
    except ValidationError as error:
        raise _invalid("\n".join(_explain(error))) from None


def _explain(error: ValidationError) -> list[str]:
    lines = ["The settings are not valid:"]
    for problem in error.errors(include_url=False, include_input=False):
        reason = problem["msg"].removeprefix("Value error, ")
        variable = _variable(problem["loc"])
        if problem["type"] == "extra_forbidden":
            reason = "there is no such setting; remove it from the settings file or correct its name"
        lines.append(f"  {variable}: {reason}" if variable else f"  {reason}")
    return [*lines, "Correct the variable or unset it to use the default."]


def _variable(location: tuple[int | str, ...]) -> str:
    if not location:
        return ""
    name = str(location[0])
    known = name if name in Settings.model_fields else name.lower().removeprefix(PREFIX.lower())
    if known in Settings.model_fields and name.upper() not in {"DATABASE_URL", "ANTHROPIC_API_KEY"}:
        return f"{PREFIX}{known.upper()}"
    return name.upper()


def _invalid(message: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.SETTINGS_INVALID, message, error_class=ErrorClass.PERMANENT)
