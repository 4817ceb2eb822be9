"""Turns a commit's typed environment contract into the variables of each service. Pure: no I/O, no clock.

A derived value is made from others at every rendering and stored nowhere, so that an address and the password inside it
can never disagree.
"""

import ipaddress
import re
from collections.abc import Mapping

from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import Allocation, DeploymentPlan, EnvEntry

SECRET_SOURCES = frozenset({"generated_secret", "user_secret"})
PLATFORM_NAMES = frozenset({"PORT", "HOST", "DATA_DIR", "RELEASE_ID", "RELEASE_PHASE", "APP_COMMIT"})
"""Set by the platform for every service. The target fills DATA_DIR and RELEASE_PHASE (candidate or live)."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_FACTS = frozenset({"project_id", "project_name", "host", "port", "service", "release_id", "commit"})
MAX_SECRETS = 50
"""As many as one question can ask for."""
MAX_VALUE = 32_000
"""Characters of a derived value: a few that name each other twice would fill any memory."""


def check_contract(services: list[str], entries: list[EnvEntry]) -> None:
    """Raises OrchestratorError ENV_CONTRACT_INVALID that names the entry and says what to change."""
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise _invalid(f"{name} is listed twice; keep one entry.")
    if sum(entry.source in SECRET_SOURCES for entry in entries) > MAX_SECRETS:
        raise _invalid(f"there are more than {MAX_SECRETS} secrets; put those that belong together into one.")
    for entry in entries:
        _check_entry(entry, services)
        _check_placeholders(entry, services, set(names))
    _check_lengths(_in_order(entries))


def render(
    plan: DeploymentPlan,
    allocation: Allocation,
    secrets: Mapping[str, str],
    *,
    project_id: str,
    project_name: str,
    release_id: str,
) -> dict[str, dict[str, str]]:
    """The variables of each service of `plan`, with real values.

    `secrets` holds generated and user secrets by name. Raises SECRET_MISSING for a required secret without a value,
    NO_PORT for a service without one, ENV_CONTRACT_INVALID for a required entry without a value.
    """
    check_contract([service.name for service in plan.services], plan.environment)
    ports = {item.service: item.port for item in allocation.ports}
    for service in plan.services:
        if service.name not in ports:
            raise OrchestratorError(ErrorCode.NO_PORT, f"Service {service.name} has no port allocated.")
    facts = {
        "project_id": project_id,
        "project_name": project_name,
        "host": allocation.server_ip,
        "release_id": release_id,
        "commit": plan.commit,
        **{f"{service}_port": str(port) for service, port in ports.items()},
    }
    return {
        service.name: _for_service(
            service.name, plan, facts | {"service": service.name, "port": str(ports[service.name])}, secrets
        )
        for service in plan.services
    }


def sensitive_names(entries: list[EnvEntry]) -> set[str]:
    """Names whose values are secret: secrets themselves and everything that is derived from one."""
    known = {entry.name: entry for entry in entries}
    sensitive: set[str] = set()
    for entry in _in_order(entries):
        if entry.source in SECRET_SOURCES or sensitive.intersection(_needs(entry, known)):
            sensitive.add(entry.name)
    return sensitive


def bind_address(server_ip: str) -> str:
    """The address that a service listens on: a loopback server stays private, a public one may be behind NAT."""
    if server_ip == "localhost":
        return "127.0.0.1"
    try:
        return server_ip if ipaddress.ip_address(server_ip).is_loopback else "0.0.0.0"
    except ValueError:
        return "0.0.0.0"


def _for_service(
    service: str, plan: DeploymentPlan, facts: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    known: dict[str, str | None] = {}
    for entry in _in_order(plan.environment):
        known[entry.name] = _value(entry, known, facts, secrets)
    values: dict[str, str] = {}
    for entry in plan.environment:
        if entry.consumers and service not in entry.consumers:
            continue
        value = known[entry.name]
        if value is not None:
            values[entry.name] = value
        elif entry.required:
            raise _missing(entry)
    platform = {
        "PORT": facts["port"],
        "HOST": bind_address(facts["host"]),
        "RELEASE_ID": facts["release_id"],
        "APP_COMMIT": plan.commit,
    }
    return values | platform


def _value(
    entry: EnvEntry, known: Mapping[str, str | None], facts: Mapping[str, str], secrets: Mapping[str, str]
) -> str | None:
    """`known` has the values of the entries before it in their order."""
    if entry.source in SECRET_SOURCES:
        return secrets.get(entry.name)
    if entry.source == "allocation":
        return facts[f"{entry.value}_port"] if entry.value else facts["port"]
    if entry.source == "literal" or entry.value is None:
        return entry.value
    parts = {name: known[name] if name in known else facts[name] for name in _PLACEHOLDER.findall(entry.value)}
    if None in parts.values():
        return None
    value = _PLACEHOLDER.sub(lambda match: str(parts[match[1]]), entry.value)
    if len(value) > MAX_VALUE:
        raise _too_long(entry)
    return value


def _check_entry(entry: EnvEntry, services: list[str]) -> None:
    unknown = sorted(set(entry.consumers) - set(services))
    if unknown:
        raise _invalid(f"{entry.name} names the consumer {unknown[0]}, which service.yaml does not have.")
    if entry.name in PLATFORM_NAMES and (entry.name, entry.source) != ("PORT", "allocation"):
        raise _invalid(f"{entry.name} is set by the platform; remove the entry or choose another name.")
    if entry.source in SECRET_SOURCES and entry.value is not None:
        raise _invalid(f"{entry.name} is a secret and must not have a value in the repository; remove the value.")
    if entry.source == "allocation" and entry.value is not None and entry.value not in services:
        raise _invalid(f"{entry.name} asks for the port of {entry.value}, which service.yaml does not have.")
    if entry.required and entry.value is None and entry.source in {"literal", "derived"}:
        raise _invalid(f"{entry.name} is required and {entry.source}, but has no value; add one.")


def _check_placeholders(entry: EnvEntry, services: list[str], names: set[str]) -> None:
    if entry.source != "derived":
        return
    known = _FACTS | {f"{service}_port" for service in services} | names
    for name in _PLACEHOLDER.findall(entry.value or ""):
        if name not in known:
            raise _invalid(
                f"{entry.name} uses {{{name}}}, which is not defined. Use: {', '.join(sorted(known - {entry.name}))}."
            )


def _in_order(entries: list[EnvEntry]) -> list[EnvEntry]:
    """Each entry behind those that it is derived from, and looked at once however often it is named."""
    known = {entry.name: entry for entry in entries}
    needs = {entry.name: _needs(entry, known) for entry in entries}
    ordered: dict[str, EnvEntry] = {}
    for entry in entries:
        path = [entry.name]
        while path:
            below = next((name for name in needs[path[-1]] if name not in ordered), None)
            if below is None:
                name = path.pop()
                ordered[name] = known[name]
            elif below in path:
                raise _invalid(f"{' -> '.join([*path, below])}: a derived value must not depend on itself.")
            else:
                path.append(below)
    return list(ordered.values())


def _needs(entry: EnvEntry, known: Mapping[str, EnvEntry]) -> list[str]:
    """The other entries that its value names, each once."""
    if entry.source != "derived":
        return []
    return [name for name in dict.fromkeys(_PLACEHOLDER.findall(entry.value or "")) if name in known]


def _check_lengths(ordered: list[EnvEntry]) -> None:
    """Refuse what is too long before anybody has given a value: secrets and facts count as nothing."""
    lengths: dict[str, int] = {}
    for entry in ordered:
        text = entry.value or ""
        lengths[entry.name] = len(text) if entry.source == "literal" else 0
        if entry.source == "derived":
            filled = sum(lengths.get(name, 0) for name in _PLACEHOLDER.findall(text))
            lengths[entry.name] = len(_PLACEHOLDER.sub("", text)) + filled
        if lengths[entry.name] > MAX_VALUE:
            raise _too_long(entry)


def _too_long(entry: EnvEntry) -> OrchestratorError:
    return _invalid(f"{entry.name} gets longer than {MAX_VALUE} characters from what it is derived from; shorten it.")


def _missing(entry: EnvEntry) -> OrchestratorError:
    if entry.source in SECRET_SOURCES:
        return OrchestratorError(
            ErrorCode.SECRET_MISSING,
            f"The secret {entry.name} has no value yet. Set it with `orchestrator secret set`.",
        )
    return _invalid(f"{entry.name} is required, but a value that it is derived from is missing.")


def _invalid(message: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.ENV_CONTRACT_INVALID, f"env.contract.yaml: {message}")
