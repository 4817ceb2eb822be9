"""What the platform does for itself, without being asked."""
