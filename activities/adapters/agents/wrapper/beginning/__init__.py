"""What comes before there is an event loop, and imports none: the order to begin, and the start of the agent."""
