"""Workflows about machines, and what they share."""
