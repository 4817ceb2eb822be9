"""What an agent can be given beside its own programs, by name."""

from typing import Final

BUILT_IN: Final = frozenset({"curl", "git", "make", "node", "python"})
"""Every agent has these."""
LAYERED: Final = frozenset({"browser", "github", "postgresql"})
"""Each is a layer of the agent's image, built when it is first needed."""


def unknown(names: list[str]) -> str | None:
    """What is wrong with these capabilities, for a person; None if an agent can have them."""
    known = BUILT_IN | LAYERED
    wrong = sorted(set(names) - known)
    if not wrong:
        return None
    return f"The capability {wrong[0][:100]} is not known. Agents can have: {', '.join(sorted(known))}."
