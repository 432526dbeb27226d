"""Kinds that kill or pause processes, and what is common to faults of processes."""
