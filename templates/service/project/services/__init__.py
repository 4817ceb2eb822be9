"""The modules of the project; each starts with `python -m services.<module>`."""
