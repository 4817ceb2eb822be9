"""Emulators of other services: they speak the protocol over the network and import nothing of the product."""
