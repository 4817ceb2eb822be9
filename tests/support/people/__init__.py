"""What people do with the platform, step by step, and what they saw."""
