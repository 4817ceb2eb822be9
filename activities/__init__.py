"""Activities by area, and the outside world that they need.

More than 15 modules because each area has one of its own, and what several areas share stands beside them.
"""
