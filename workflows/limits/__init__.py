"""What stops work at a model, and how it goes on: questions, waits, other agents."""
