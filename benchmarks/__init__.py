"""Figures of the platform, a module for each benchmark.

More than 15 modules because a benchmark is called by its module's name, and what several share is beside them.
"""
