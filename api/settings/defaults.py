"""The defaults: they apply where nobody has chosen a value."""

from typing import Annotated

from fastapi import Depends

from api.dependencies import SettingsDep
from contracts.project_settings import ProjectSettings


async def _defaults(settings: SettingsDep) -> ProjectSettings:
    """The agent is that of the process's own settings."""
    return ProjectSettings(agent=settings.agent)


DefaultsDep = Annotated[ProjectSettings, Depends(_defaults)]
