"""Faults of information that a host gives to every process on it."""
