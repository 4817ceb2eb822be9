"""Commands over the HTTP API.

More than 15 modules because each noun of the command line has one of its own, and is imported only when it is used.
"""
