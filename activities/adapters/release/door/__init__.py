"""The front door: what it is told, how it is kept running here and on servers, and how services switch behind it.

Also what else of a server systemd keeps: the rule about link-local addresses.
"""
