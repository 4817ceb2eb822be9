"""A scripted model: the HTTP interfaces of Anthropic and OpenAI, with answers that a scenario prescribes.

Real agent programs run against it in the tests. It reads each request as the original does (model, tools, messages),
answers with calls of the tools that the agent itself offers, counts tokens by a fixed rule, and keeps a bill. It knows
nothing about our proxy, and an agent cannot tell it from a provider.
"""
