"""The worker wrapper: the small program that drives a CLI agent inside its container, for one turn.

Copied into images at `/opt/agent_wrapper`; standard library and the SDK of the Agent Client Protocol only, nothing of
the platform. It reads its job from a file, and writes one JSON line for each event on its standard output.
"""
