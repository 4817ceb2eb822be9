"""The defaults: they apply where nobody has chosen a value."""

from typing import Annotated

from fastapi import Depends

from api.dependencies import SettingsDep
from contracts.project_settings import ProjectSettings


async def _defaults(settings: SettingsDep) -> ProjectSettings:
    """The agent and the watch are those of the process's own settings."""
    return ProjectSettings(agent=settings.agent, watch_s=settings.watch_s)


DefaultsDep = Annotated[ProjectSettings, Depends(_defaults)]
