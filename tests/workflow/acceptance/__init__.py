"""What is checked after the tests: the running service, and the change as a reviewer reads it."""
