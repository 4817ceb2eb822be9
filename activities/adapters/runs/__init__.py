"""Runs that outlive whoever started them: their states, locks, logs and processes. Knows nothing of what runs."""
