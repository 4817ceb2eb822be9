"""Repositories: Git, the bare repositories of this machine, clones, the scaffold."""
