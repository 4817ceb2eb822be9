"""What every process of the product shares: settings, logs, clients, embedded servers.

More than 15 modules because each of them is a part of its own, known by its file's name.
"""
