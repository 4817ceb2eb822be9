"""A project's own checks: what is run, and what the output says."""
