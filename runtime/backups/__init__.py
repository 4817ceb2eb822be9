"""Backups of an installation: made while it runs, compared with what was there, restored into an empty directory.

Used by the command line, which must work without a platform, and by the Temporal workers, on a schedule.
"""
