"""Checkers of particular workloads: each knows what its operations or trace events mean, and what may not happen to them."""
