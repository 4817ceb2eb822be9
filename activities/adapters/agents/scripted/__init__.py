"""A coding agent that is a script: the interface of a CLI agent, and no model behind it.

It needs nothing but Python 3.11, so that the folder can be copied into a container and started as
`python scripted_agent -p PROMPT --output-format stream-json --verbose`.

`reading` knows no other part of it, `writing` only `reading`, and `session` both.
"""
