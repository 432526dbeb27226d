"""Registers with unique values, in near-linear time."""
