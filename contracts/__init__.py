"""What crosses a boundary: messages, states, ids, error codes, wire names.

More than 15 modules because this is one flat vocabulary: a name is found by its subject, and `contracts/schemas` has
a file for each.
"""
