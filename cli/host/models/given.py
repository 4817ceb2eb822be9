"""A key that a platform which runs already does not have: the parts that must know it begin again, and have it then.

What a part was given is read from its process. The key goes to the model proxy and its supervisor, and the API hears
which agent works with it. A command without a key takes none away.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import psutil

from cli.host.parts import (
    API,
    MODEL_PROXY,
    SUPERVISOR,
    Parts,
    child_environment,
    model_environment,
)
from cli.terminal.output import Output
from contracts.states import AgentKind

_BACKGROUND = "cli.host.supervision"
_AGENT = "ORCHESTRATOR_AGENT"


async def hand_over(parts: Parts, out: Output) -> bool:
    """Stop the parts that have to know what this command was given; whoever calls starts them again.

    Returns whether the supervisor in the background was one of them: it is to be started again, too. One in a terminal
    is somebody's own: it is left alone, and that is said.
    """
    if not parts.settings.has_model_key or parts.is_run_elsewhere or parts.book.record(API) is None:
        return False
    given, known = _given(), _variables(parts, MODEL_PROXY) or {}
    outdated = [MODEL_PROXY] if any(known.get(name) != value for name, value in given.items()) else []
    outdated += [API] if _chooses_another_agent(parts) else []
    if not outdated:
        return False
    out.say("   The key for models is new to this platform: the parts that have to know it begin again")
    replaced = await _end_supervisor(parts, out)
    os.environ.update(_kept(given, known))
    for name in outdated:
        await parts.book.stop(name)
    return replaced


def _kept(given: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """What the proxy has and goes on to have: gateways, and the keys for vendors that this command has none for."""
    vendors = {vendor_of(name) for name in given if is_key(name)}
    return {
        name: value
        for name, value in model_environment(known).items()
        if name not in given and not (is_key(name) and vendor_of(name) in vendors)
    }


def is_key(name: str) -> bool:
    return "_API_KEY" in name.upper()


def vendor_of(name: str) -> str:
    return name.upper().removeprefix("ORCHESTRATOR_").partition("_")[0]


def _chooses_another_agent(parts: Parts) -> bool:
    """Whether new work would use another agent than a person expects who has given this key."""
    wanted = child_environment(parts.settings)[_AGENT]
    known = (_variables(parts, API) or {}).get(_AGENT, AgentKind.SCRIPTED.value)
    was_chosen = "agent" in parts.settings.model_fields_set
    return known != wanted and (was_chosen or known == AgentKind.SCRIPTED.value)


async def _end_supervisor(parts: Parts, out: Output) -> bool:
    """It ends alone, without the parts: asked in an orderly way it would stop them all."""
    if parts.book.record(SUPERVISOR) is None:
        return False
    if not _is_in_background(parts):
        out.advise(
            "   `orchestrator up` in another terminal does not have this key, and would start a part that ends again "
            "without it. End it there with Ctrl-C, and start it with the key."
        )
        return False
    await parts.book.kill(SUPERVISOR)
    parts.book.forget(SUPERVISOR)
    return True


def _given() -> dict[str, str]:
    return {name: value for name, value in model_environment().items() if value}


def _variables(parts: Parts, name: str) -> dict[str, str] | None:
    """What the process of a part was given; None when there is none."""
    record = parts.book.record(name)
    try:
        return None if record is None else psutil.Process(record.pid).environ()
    except psutil.Error:
        return None


def _is_in_background(parts: Parts) -> bool:
    record = parts.book.record(SUPERVISOR)
    try:
        return record is not None and _BACKGROUND in psutil.Process(record.pid).cmdline()
    except psutil.Error:
        return False
