"""The model proxy, a process of its own: agents talk to it with the token of a turn, and it adds the real key.

Bytes pass untouched both ways. Each request is a row before it is sent, and budgets are checked before it is.
"""
