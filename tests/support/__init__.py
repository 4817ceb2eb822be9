"""What tests start, ask and compare with.

More than 15 modules because suites pick single tools, each in a module of its own.
"""
