"""What becomes of a wish in a project: its files, its migrations, its commit."""
