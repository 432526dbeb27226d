"""Availability, recovery after faults, and convergence of replicas."""
