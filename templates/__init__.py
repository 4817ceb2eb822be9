"""Copier templates that ship with the platform."""
