"""The `orchestrator` program inside of an agent's container: what a turn may say to the platform.

Standard library only, and no other package of ours: it is a wheel of its own. There is no API to reach from there; what
it says is the outcome file of the turn.
"""
