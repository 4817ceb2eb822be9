"""Reads from a commit how its services start (`service.yaml`) and what they need (`env.contract.yaml`)."""

import asyncio
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field, StringConstraints, ValidationError

from activities.adapters.packages import bounded_yaml
from activities.ports import Forge
from activities.rules.environment import check_contract
from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import AnalysisRequest, DeploymentPlan, EnvEntry, ServiceProcess

MANIFEST = "service.yaml"
CONTRACT = "env.contract.yaml"

_MAX_PLAN = 100_000
"""Bytes of a plan, which every step of a deploy carries; aliases make a large one of a small file."""
_BOT = "tg_bot"
"""Telegram answers one poller of a bot, so two releases of it never run at once unless the module says otherwise."""
Model = TypeVar("Model", bound=BaseModel)
_Plain = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
"""Neither an argument or a variable of a process nor the database can hold a NUL character."""
Item = TypeVar("Item")
_Items = Annotated[list[Item], FailFast()]
"""One problem is told: aliases put a wrong item into a small file a million times."""


class _Module(BaseModel):
    """One module as the manifest writes it."""

    name: str
    command: _Items[_Plain]
    migrate: _Items[_Plain] = Field(default_factory=list)
    health_path: _Plain = "/health"
    health_body: _Plain = ""
    live_body: _Plain = ""
    start_limit_s: int | None = Field(default=None, strict=True)
    alone: bool | None = None


class _Manifest(BaseModel):
    modules: _Items[_Module] = Field(min_length=1, max_length=20)


class _Entry(EnvEntry):
    """Unlike the step, the file is an edge: a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid")

    consumers: _Items[str] = Field(default_factory=list, max_length=20)
    value: _Plain | None = Field(default=None, max_length=2_000)


class _Contract(BaseModel):
    entries: _Items[_Entry] = Field(default_factory=list, max_length=200)


class ForgePlanReader:
    """Implements `PlanReader` over a forge. Reading twice gives the same answer for the same commit."""

    def __init__(self, forge: Forge) -> None:
        self._forge = forge

    async def read(self, request: AnalysisRequest) -> DeploymentPlan:
        """Raises OrchestratorError ENV_CONTRACT_INVALID that names the file, the place and what to change."""
        commit, files = await self._forge.mirror(request.repository).read_files(request.commit, [MANIFEST, CONTRACT])
        # Files of others: reading them must not hold up whatever else runs here, such as heartbeats.
        return await asyncio.to_thread(_plan, commit, files)


def _plan(commit: str, files: dict[str, str]) -> DeploymentPlan:
    manifest = _parse(MANIFEST, files, _Manifest)
    contract = _parse(CONTRACT, files, _Contract)
    names = [module.name for module in manifest.modules]
    if len(set(names)) != len(names):
        raise _invalid(f"{MANIFEST}: two modules have the same name.")
    environment = [EnvEntry(**entry.model_dump()) for entry in contract.entries]
    services = [_service(module) for module in manifest.modules]
    check_contract(names, environment)
    plan = DeploymentPlan(commit=commit, services=services, environment=environment)
    if len(plan.model_dump_json().encode()) > _MAX_PLAN:
        raise _invalid(f"{MANIFEST} and {CONTRACT} hold more than {_MAX_PLAN // 1000} KB together; shorten them.")
    return plan


def _service(module: _Module) -> ServiceProcess:
    if not module.health_path.startswith("/"):
        raise _invalid(f"{MANIFEST}: health_path of {module.name} must start with a slash.")
    try:
        return ServiceProcess(
            **module.model_dump(exclude={"health_body", "live_body", "alone"}),
            health_contains=module.health_body,
            live_contains=module.live_body,
            alone=module.name == _BOT if module.alone is None else module.alone,
        )
    except ValidationError as error:
        raise _invalid(f"{MANIFEST}: module {module.name}: {_explain(error)}") from None


def _parse(path: str, files: dict[str, str], model: type[Model]) -> Model:
    if path not in files:
        raise _invalid(f"{path} is missing at the root of the repository; it says what the project needs to run.")
    try:
        return model.model_validate(_load(path, files[path]))
    except ValidationError as error:
        raise _invalid(f"{path}: {_explain(error)}") from None


def _load(path: str, text: str) -> object:
    try:
        return bounded_yaml.load(text)
    except bounded_yaml.UnusableYaml as error:
        raise _invalid(f"{path} {error}.") from None


def _explain(error: ValidationError) -> str:
    """The first few problems, without the values: a misplaced one could be a secret."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg']}" for item in problems[:3])


def _invalid(message: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.ENV_CONTRACT_INVALID, message)
