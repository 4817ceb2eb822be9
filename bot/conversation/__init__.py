"""Who is writing, and what they mean."""
