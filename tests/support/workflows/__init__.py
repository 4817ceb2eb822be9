"""Workflows on a real Temporal server over ports in memory."""
