"""Faults of processes, disks, power and limits."""
