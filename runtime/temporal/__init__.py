"""Talking to Temporal: the client, its payloads, workflows by their wire names."""
