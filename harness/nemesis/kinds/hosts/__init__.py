"""Faults of what a host reports to every process on it."""
