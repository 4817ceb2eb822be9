"""The servers that `orchestrator up` brings along, and their ports."""
