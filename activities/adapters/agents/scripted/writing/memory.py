"""What this agent adds to the memory of a project: what it has decided, in a line."""

from .workspace import Workspace

PATH = "MEMORY.md"
_SECTION = "## Decisions"


def remembering(workspace: Workspace, message: str) -> dict[str, str | None]:
    """The file with the first line of a commit's message; nothing for a project without a memory."""
    text, line = workspace.read(PATH), f"- {message.splitlines()[0]}"
    if text is None or _SECTION not in text.splitlines() or line in text.splitlines():
        return {}
    before, _, rest = text.partition(f"{_SECTION}\n")
    section, mark, after = rest.partition("\n## ")
    lines = [one for one in section.splitlines() if one.strip()]
    return {PATH: f"{before}{_SECTION}\n\n" + "\n".join([*lines, line]) + f"\n{mark}{after}"}
