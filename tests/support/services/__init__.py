"""Engines, agents' places and services that tests build and run."""
