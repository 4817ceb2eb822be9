"""Deploy targets, the release program and probes against real servers."""
