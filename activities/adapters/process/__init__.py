"""Agent turns, tests and workspaces as processes of this machine."""
