"""Agent workers: those of tasks, and those that people make and talk to."""
