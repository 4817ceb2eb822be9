"""The command line of an agent: sessions, turns, questions and the stream of what it does."""
