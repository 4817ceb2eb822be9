"""The only way of the agents' Temporal worker to the Docker Engine: known calls pass, everything else is refused.

Standard library and h11 only: it is an image of its own. What it refuses and what it cannot see: docs/operations.md.
"""
