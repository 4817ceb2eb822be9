"""Ids of the script's checks: they say what a check is about, so that a later wish replaces it or takes it back."""

from activities.adapters.agents.scripted.reading.wish import Change

THING, FIELD, HIDDEN, ABSENT, PAGE, COMMAND, GONE = "thing", "field", "hidden", "absent", "page", "command", "gone"


def named(kind: str, *about: str) -> str:
    """`field-book-title`. Parts have no dashes: names are identifiers."""
    return "-".join([kind, *about])


def taken_back(change: Change, promised: list[str]) -> list[str]:
    """Of the checks that a project has, those that cannot hold once the change is made."""
    return [name for name in promised if _contradicts(change, name.split("-"))]


def _contradicts(change: Change, name: list[str]) -> bool:
    kind, about, *rest = [*name, ""]
    if change.kind == "remove-command":
        return kind == COMMAND and about == change.name
    if about != change.name or kind == COMMAND:
        return False
    fields = {one.name for one in change.fields}
    if change.kind == "remove-entity":
        return kind != GONE
    if change.kind == "remove-fields":
        return kind in {FIELD, HIDDEN} and rest[0] in fields
    return kind == GONE or (kind == ABSENT and rest[0] in fields)
