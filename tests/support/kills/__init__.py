"""Kills at named points of a delivery, and what is looked at afterwards."""
