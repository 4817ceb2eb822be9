"""What the programs of acceptance are told: the services with generated settings, the checks, where to leave results.

Pure. No setting of a real installation is used: secrets are made for the run, and nobody else has them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import activities
from activities.rules import environment as rules_environment
from contracts.acceptance import AcceptanceRequest
from contracts.errors import ErrorCode
from contracts.ids import acceptance_name
from contracts.steps import Allocation, AnalysisRequest, DeploymentPlan, ServicePort, ServiceProcess

PACKAGE = "acceptance_runner"
RESULT_FILE = "result.json"
UNUSABLE = frozenset({ErrorCode.ENV_CONTRACT_INVALID, ErrorCode.INVALID_INPUT, ErrorCode.NO_PORT})
"""What is wrong with the files that say how a commit is run."""
START_LIMIT_S = 120
"""At least so long a service may take: beside it, others are tested and built."""
TOKEN_NAME = "TELEGRAM_BOT_TOKEN"
BASE_NAME = "TELEGRAM_API_BASE"
"""What the template's bot reads; a service with a token gets the address of the emulator by this name."""
_RUNNER = Path(__file__).parent / "runner"
_SOURCE_ROOT = Path(activities.__file__).resolve().parent.parent


@dataclass(frozen=True)
class Ports:
    """Where everything listens, on the loopback device that services and checks share: each service by its name."""

    services: dict[str, int]
    control: int
    telegram: int


def ports_alone(plan: DeploymentPlan) -> Ports:
    """Where nobody else is."""
    return Ports({one.name: 18_000 + number for number, one in enumerate(plan.services)}, 18_100, 18_101)


@dataclass(frozen=True)
class Paths:
    """Directories as the program sees them. `python` is what `{python}` is in commands."""

    project: str
    data: str
    python: str
    path: str


@dataclass(frozen=True)
class Means:
    """What checks can be run with; None: not at all, and `why_not` says why."""

    browser: str | None = None
    telegram_python: str | None = None
    why_not: str = ""


@dataclass(frozen=True)
class Settings:
    """The variables of each service, and which values among them are secret."""

    environment: dict[str, dict[str, str]]
    secrets: dict[str, str] = field(repr=False)

    @property
    def token(self) -> str | None:
        """Of the project's bot; None when no service asks for one."""
        return next((values[TOKEN_NAME] for values in self.environment.values() if TOKEN_NAME in values), None)


def generated_settings(name: str, request: AcceptanceRequest, plan: DeploymentPlan, ports: Ports) -> Settings:
    """The same for the same name: services that an earlier attempt has started know them.

    Raises OrchestratorError ENV_CONTRACT_INVALID for an environment that cannot be made.
    """
    asked = [entry.name for entry in plan.environment if entry.source in rules_environment.SECRET_SOURCES]
    secrets = {one: _secret(name, one) for one in asked}
    allocation = Allocation(
        server_handle="acceptance",
        server_ip="127.0.0.1",
        ports=[ServicePort(service=one, port=port) for one, port in ports.services.items()],
    )
    known = {"project_id": request.project_id, "project_name": request.project_name}
    environment = rules_environment.render(plan, allocation, secrets, release_id=request.commit[:12], **known)
    for values in environment.values():
        if TOKEN_NAME in values:
            values[BASE_NAME] = f"http://127.0.0.1:{ports.telegram}"
    return Settings(environment, secrets)


def _secret(name: str, entry: str) -> str:
    """Of a bot's token the form is known."""
    made = hashlib.sha256(f"{name}/{entry}".encode()).hexdigest()
    return f"{int(made[:7], 16)}:{made[:35]}" if entry == TOKEN_NAME else made[:40]


def services_job(plan: DeploymentPlan, settings: Settings, ports: Ports, paths: Paths) -> dict[str, Any]:
    """For `acceptance_runner.serve`."""
    always = {"PATH": paths.path, "HOME": paths.data, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    always |= {"TMPDIR": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
    own = {"DATA_DIR": paths.data, "HOST": "127.0.0.1"}
    services = [
        {
            "name": service.name,
            "command": _filled(service.command, paths.python),
            "migrate": _filled(service.migrate, paths.python),
            "environment": always | settings.environment[service.name] | own,
        }
        for service in plan.services
    ]
    return {"services": services, "project": paths.project, "data": paths.data, "control": ports.control}


def _filled(argv: list[str], python: str) -> list[str]:
    return [part.replace("{python}", python) for part in argv]


def checks_job(
    request: AcceptanceRequest, plan: DeploymentPlan, settings: Settings, ports: Ports, means: Means, out: str
) -> dict[str, Any]:
    """For `acceptance_runner`."""
    has_telegram = settings.token is not None and means.telegram_python is not None
    return {
        "checks": [check.model_dump(mode="json") for check in request.checks],
        "services": [_awaited(one, ports.services[one.name], live=has_telegram) for one in plan.services],
        "control": ports.control,
        "bot": _bot(settings, ports, means),
        "browser": means.browser,
        "no_browser": means.why_not,
        "profile": f"{out}/profile",
        "secrets": settings.secrets,
        "deadline_s": request.timeout_s,
        "answer_limit": request.answer_limit,
        "out": out,
    }


def _bot(settings: Settings, ports: Ports, means: Means) -> Mapping[str, Any]:
    if settings.token is None:
        return {"why_not": f"no service of the project is a bot: none asks for {TOKEN_NAME}", "missed": True}
    if means.telegram_python is None:
        return {"why_not": means.why_not, "missed": False}
    return {"port": ports.telegram, "token": settings.token, "python": means.telegram_python}


def _awaited(service: ServiceProcess, port: int, *, live: bool) -> dict[str, Any]:
    """A bot is live only where it reaches a Telegram."""
    contains = [service.health_contains, service.live_contains if live else ""]
    return {
        "name": service.name,
        "port": port,
        "health_path": service.health_path,
        "health_contains": [part for part in contains if part],
        "start_limit_s": max(service.start_limit_s or 0, START_LIMIT_S),
    }


def analysis(request: AcceptanceRequest) -> AnalysisRequest:
    """The question what the commit needs to run."""
    return AnalysisRequest(project_id=request.project_id, repository=request.repository, commit=request.commit)


def run_name(request: AcceptanceRequest) -> str:
    """One run for a task, a commit and exactly these checks."""
    wanted = request.model_dump_json(include={"criteria", "checks", "not_checkable"})
    return acceptance_name(request.task_id, request.commit, hashlib.sha256(wanted.encode()).hexdigest())


def programs() -> dict[str, bytes]:
    """The programs as files, by path."""
    return {f"{PACKAGE}/{file.name}": file.read_bytes() for file in sorted(_RUNNER.glob("*.py"))}


def emulator() -> dict[str, bytes]:
    """The emulated Telegram as files, by path."""
    files = [_SOURCE_ROOT / "emulators" / "__init__.py", *sorted((_SOURCE_ROOT / "emulators/telegram").glob("*.py"))]
    return {str(file.relative_to(_SOURCE_ROOT)): file.read_bytes() for file in files}
