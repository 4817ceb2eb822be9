"""More than 15 modules because each noun and each promise of the API has one of its own."""
