"""Checkers of particular workloads: each knows the meaning of its operations or trace events, and what must not happen to them."""
