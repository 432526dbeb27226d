"""Clocks: the system's, and those that a process reads through the vDSO."""
