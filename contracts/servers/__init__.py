"""Servers: what crosses a boundary about machines and what is done to them."""
