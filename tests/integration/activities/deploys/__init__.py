"""Deploy targets, playbooks and probes against real servers."""
