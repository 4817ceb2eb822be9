"""The programs of acceptance: `python -m acceptance_runner.serve` is beside the services of a commit and starts them,
`python -m acceptance_runner` runs checks against them. Copied to where they run; standard library only.
"""
