"""Large works in parts, and the price of a plan."""
