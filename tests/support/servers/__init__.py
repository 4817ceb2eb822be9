"""Machines for tests: containers that a provider could have handed over."""
