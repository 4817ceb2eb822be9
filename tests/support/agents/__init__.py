"""Agents for tests of the worker wrapper."""
