"""Acceptance: checks of a wish run against the services of a commit, by somebody other than the agent."""
