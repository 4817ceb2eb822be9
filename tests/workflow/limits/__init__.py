"""Budgets, usage windows and outages of models, and going on after a failure."""
