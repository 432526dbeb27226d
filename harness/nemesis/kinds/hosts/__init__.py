"""Faults of what a host says to every process on it."""
