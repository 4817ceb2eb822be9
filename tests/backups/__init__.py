"""Backups of a whole platform."""
