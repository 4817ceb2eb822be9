"""What belongs to agents and tests, by name: no number of a thing of somebody else has such a form."""

CONTAINER = r"(?:turn|workspace|bundle|test|venv|gateway|codegen-orchestrator-worker)-[A-Za-z0-9_.-]{1,200}"
ONLINE = r"(?:venv|gateway)-[A-Za-z0-9_.-]{1,200}"
"""Containers that have a network: they run no code of an agent or of a project."""
VOLUME = r"(?:workspace|home|venv|gateway)-[A-Za-z0-9_.-]{1,200}"
NETWORK = r"orchestrator-agents"
TAG = r"codegen-orchestrator-worker:[a-z0-9.-]{1,100}"
