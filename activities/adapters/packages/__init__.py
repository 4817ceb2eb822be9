"""Packages: where they come from, what a project may ask for, environments that are kept."""
