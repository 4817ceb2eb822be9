"""What is decided of a request before any route sees it."""
