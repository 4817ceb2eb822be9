"""`make test-live`: a real wish, real agents and the real vendors of their models. It costs money; pytest collects none
of it.
"""
