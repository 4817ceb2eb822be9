"""The defaults: they apply where nobody has chosen a value."""

from typing import Annotated

from fastapi import Depends

from api.database import Session
from api.dependencies import SettingsDep
from api.vault import platform_secret_names
from contracts.project_settings import ProjectSettings
from contracts.states import AgentKind


async def _defaults(settings: SettingsDep, session: Session) -> ProjectSettings:
    """Agent, watch and acceptance are those of the process's own settings.

    Where none is chosen, a key for models in the vault chooses an agent that works with it.
    """
    agent = settings.agent_for_new_work
    if "agent" not in settings.model_fields_set and agent is AgentKind.SCRIPTED:
        stored = await platform_secret_names(session)
        agent = next((kind for name, kind in _AGENT_OF.items() if name in stored), agent)
    return ProjectSettings(agent=agent, watch_s=settings.watch_s, acceptance=settings.acceptance)


_AGENT_OF = {"ANTHROPIC_API_KEY": AgentKind.CLAUDE_CODE, "OPENAI_API_KEY": AgentKind.CODEX}


DefaultsDep = Annotated[ProjectSettings, Depends(_defaults)]
