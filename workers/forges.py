"""The table of forges: `ORCHESTRATOR_FORGE` names the one that an installation uses."""

from collections.abc import Callable

from activities.adapters.forge.local import LocalBareForge
from activities.adapters.forge.scaffold import CopierScaffolder
from activities.ports import Forge
from contracts.errors import ErrorCode, OrchestratorError
from runtime.settings import Settings

FORGES: dict[str, Callable[[Settings], Forge]] = {
    "local": lambda settings: LocalBareForge(settings.forge_dir, CopierScaffolder()),
}


def build_forge(settings: Settings) -> Forge:
    """The forge that the settings name; makes no connection. Raises SETTINGS_INVALID for a name that is in no row."""
    build = FORGES.get(settings.forge)
    if build is None:
        reason = (
            f"ORCHESTRATOR_FORGE is {settings.forge!r}, which is not a forge. Available: {', '.join(sorted(FORGES))}."
        )
        raise OrchestratorError(ErrorCode.SETTINGS_INVALID, reason)
    return build(settings)
