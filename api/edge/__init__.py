"""What stands between HTTP and the routes."""
