"""The Docker Engine, and agent turns, tests and workspaces as containers of it."""
