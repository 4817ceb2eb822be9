"""Large works in parts, from outside."""
