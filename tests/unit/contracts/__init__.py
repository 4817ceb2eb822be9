"""Models, one by one.

More than 15 modules because each that has rules of its own is tested by itself.
"""
