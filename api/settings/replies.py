"""Settings as the API shows them."""

from collections.abc import Sequence

from api.settings.queries import Choices
from api.tables import SettingRow
from contracts.project_settings import (
    NOT_YET_READ,
    ProjectSettings,
    SettingDTO,
    SettingHistory,
    SettingList,
    SettingVersion,
)


def settings(defaults: ProjectSettings, installation: Choices, project: Choices | None = None) -> SettingList:
    """Every setting, with the value that applies."""
    return SettingList(items=[_setting(name, defaults, installation, project or {}) for name in _NAMES])


def history(name: str, versions: Sequence[SettingRow], following: str | None) -> SettingHistory:
    items = [
        SettingVersion.model_validate(row.model_dump(include=set(SettingVersion.model_fields))) for row in versions
    ]
    return SettingHistory(name=name, items=items, next_cursor=following)


_NAMES = tuple(ProjectSettings.model_fields)


def _setting(name: str, defaults: ProjectSettings, installation: Choices, project: Choices) -> SettingDTO:
    chosen = project.get(name) or installation.get(name)
    return SettingDTO.model_validate(
        {
            "name": name,
            "value": defaults.model_dump(mode="json")[name] if chosen is None else chosen.value,
            "description": ProjectSettings.model_fields[name].description,
            "source": "project" if name in project else "installation" if name in installation else "default",
            "in_use": name not in NOT_YET_READ,
            **({} if chosen is None else chosen.model_dump(include={"version", "changed_by", "changed_at"})),
        }
    )
