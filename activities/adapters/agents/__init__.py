"""CLI agents: how each is called, what its output means, and the scripted one."""
