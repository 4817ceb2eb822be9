"""The platform on this machine: what its commands start, end, look at and set up.

More than 15 modules because each command about this machine has one of its own, beside what they share.
"""
